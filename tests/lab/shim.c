/* The fault shim of the laboratory: loaded before the C library into the processes under test, never into the product.

   What a process asks of the kernel passes here first. A control block, mapped from a file, says what shall happen:
   the clock is turned, the n-th call is the last one (kill -9), a call on some path fails with an errno, the free
   space of a volume is what we say. Where asked, every change of a file, every flush and every answer that leaves
   is written to a journal, from which ``powerloss.py`` builds what a disk would hold after the power went.

   Calls counted ("steps") are those by which a process changes something outside itself: files below the root, and
   bytes sent on sockets. Build: cc -shared -fPIC -O1 -o shim.so shim.c -ldl -lpthread
*/
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum kind { OPEN = 1, WRITE = 2, FLUSH = 4, RENAME = 8, UNLINK = 16, MKDIR = 32, TRUNCATE = 64, SEND = 128, CREATE = 256 };

struct control {
    int64_t clock_offset_ns;
    uint64_t steps;        /* how many steps were taken since the block was reset */
    uint64_t kill_at;      /* the step at which the process dies; 0: none */
    uint64_t killed_kind;  /* kind of that step */
    uint64_t fault_kinds;  /* which kinds fail */
    int64_t fault_errno;
    uint64_t fault_from;   /* the first matching call that fails, counted from 1 */
    uint64_t fault_count;  /* how many fail from there on */
    uint64_t matched;
    uint64_t faults;       /* how many did fail */
    int64_t free_bytes;    /* what statvfs says; -1: the truth */
    uint64_t recording;
    uint64_t short_write;  /* a failing write leaves half of its bytes first */
    char root[256];
    char fault_path[256];  /* part of the path of what fails */
    char journal[256];
    char killed_path[256];
};

static struct control idle = {.free_bytes = -1};
static struct control *control = &idle;
static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;
static int journal = -1;
static __thread int inside;

#define REAL(type, name, ...) \
    static type (*real)(__VA_ARGS__); \
    if (!real) real = (type (*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

/* Called by the process itself, once it knows which block is its own. */
int lab_attach(const char *path) {
    int fd = syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0);
    if (fd < 0) return -1;
    void *found = mmap(NULL, sizeof(struct control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    syscall(SYS_close, fd);
    if (found == MAP_FAILED) return -1;
    control = found;
    if (control->recording)
        journal = syscall(SYS_openat, AT_FDCWD, control->journal, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    return 0;
}

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("LAB_CONTROL");
    if (path && *path) lab_attach(path);
}

static int path_of_fd(int fd, char *path, size_t most) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t got = syscall(SYS_readlinkat, AT_FDCWD, link, path, most - 1);
    if (got < 0) { path[0] = 0; return 0; }
    path[got] = 0;
    return path[0] == '/';
}

static void absolute(int dir, const char *name, char *path, size_t most) {
    char base[512];
    if (name[0] == '/') { snprintf(path, most, "%s", name); return; }
    if (dir == AT_FDCWD) { if (syscall(SYS_getcwd, base, sizeof base) < 0) base[0] = 0; }
    else path_of_fd(dir, base, sizeof base);
    snprintf(path, most, "%s/%s", base, name);
}

static int ours(const char *path) {
    size_t length = strlen(control->root); /* it ends with a slash; the folder itself is ours too */
    return length && (strncmp(path, control->root, length) == 0 ||
                      (strlen(path) == length - 1 && strncmp(path, control->root, length - 1) == 0));
}

/* A step is due: die here if this is the one; return an errno if it shall fail, else 0. */
static int step(enum kind kind, const char *path) {
    uint64_t n = __atomic_add_fetch(&control->steps, 1, __ATOMIC_SEQ_CST);
    if (control->kill_at && n == control->kill_at) {
        control->killed_kind = kind;
        snprintf(control->killed_path, sizeof control->killed_path, "%s", path);
        kill(getpid(), SIGKILL);
        for (;;) pause();
    }
    if (!(control->fault_kinds & kind) || !strstr(path, control->fault_path)) return 0;
    uint64_t match = __atomic_add_fetch(&control->matched, 1, __ATOMIC_SEQ_CST);
    if (match < control->fault_from || match - control->fault_from >= control->fault_count) return 0;
    __atomic_add_fetch(&control->faults, 1, __ATOMIC_SEQ_CST);
    return (int)control->fault_errno;
}

static void note_iov(enum kind kind, uint64_t at, const char *path, const char *other, const struct iovec *parts, int count) {
    if (journal < 0) return;
    uint64_t length = 0;
    for (int i = 0; i < count; i++) length += parts[i].iov_len;
    uint32_t head[4] = {kind, (uint32_t)strlen(path), (uint32_t)strlen(other), (uint32_t)length};
    struct iovec all[36] = {{head, sizeof head}, {&at, sizeof at}, {(void *)path, head[1]}, {(void *)other, head[2]}};
    int used = 4;
    for (int i = 0; i < count && used < 36; i++) all[used++] = parts[i];
    syscall(SYS_writev, journal, all, used);
}

static void note(enum kind kind, uint64_t at, const char *path, const char *other, const void *data, size_t length) {
    struct iovec part = {(void *)data, length};
    note_iov(kind, at, path, other, &part, data ? 1 : 0);
}

static void lock(void) { if (journal >= 0) pthread_mutex_lock(&one_at_a_time); }
static void unlock(void) { if (journal >= 0) pthread_mutex_unlock(&one_at_a_time); }

#define FAIL(kind, path) \
    do { int wrong = step(kind, path); if (wrong) { errno = wrong; return -1; } } while (0)

/* --- the clock ------------------------------------------------------------------------------------------------- */

static void turn(struct timespec *at) {
    int64_t all = (int64_t)at->tv_nsec + control->clock_offset_ns % 1000000000;
    at->tv_sec += control->clock_offset_ns / 1000000000;
    if (all >= 1000000000) { all -= 1000000000; at->tv_sec++; }
    if (all < 0) { all += 1000000000; at->tv_sec--; }
    at->tv_nsec = all;
}

int clock_gettime(clockid_t which, struct timespec *at) {
    REAL(int, "clock_gettime", clockid_t, struct timespec *);
    int done = real(which, at);
    if (!done && (which == CLOCK_REALTIME || which == CLOCK_REALTIME_COARSE)) turn(at);
    return done;
}

int gettimeofday(struct timeval *restrict at, void *restrict zone) {
    struct timespec now;
    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &now)) return -1;
    at->tv_sec = now.tv_sec;
    at->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *out) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (out) *out = now.tv_sec;
    return now.tv_sec;
}

/* --- files ----------------------------------------------------------------------------------------------------- */

static int open_any(int dir, const char *name, int flags, mode_t mode) {
    char path[512];
    absolute(dir, name, path, sizeof path);
    if (!ours(path) || inside) return syscall(SYS_openat, dir, name, flags, mode);
    int writes = (flags & O_ACCMODE) != O_RDONLY;
    struct stat old;
    int fresh = (flags & O_CREAT) && syscall(SYS_newfstatat, dir, name, &old, 0) != 0;
    if (writes) FAIL(fresh ? CREATE | OPEN : OPEN, path);
    lock();
    int fd = syscall(SYS_openat, dir, name, flags, mode);
    if (fd >= 0 && fresh) note(CREATE, 0, path, "", NULL, 0);
    else if (fd >= 0 && (flags & O_TRUNC) && writes) note(TRUNCATE, 0, path, "", NULL, 0);
    unlock();
    return fd;
}

#define OPEN_LIKE(name) \
    int name(const char *path, int flags, ...) { \
        va_list more; va_start(more, flags); mode_t mode = va_arg(more, mode_t); va_end(more); \
        return open_any(AT_FDCWD, path, flags, mode); } 
#define OPENAT_LIKE(name) \
    int name(int dir, const char *path, int flags, ...) { \
        va_list more; va_start(more, flags); mode_t mode = va_arg(more, mode_t); va_end(more); \
        return open_any(dir, path, flags, mode); }
OPEN_LIKE(open)
OPEN_LIKE(open64)
OPENAT_LIKE(openat)
OPENAT_LIKE(openat64)

static ssize_t write_any(int fd, const struct iovec *parts, int count, off_t at, int placed) {
    char path[512];
    int mine = !inside && path_of_fd(fd, path, sizeof path) && ours(path);
    if (mine) {
        int wrong = step(WRITE, path);
        if (wrong && control->short_write && count == 1 && parts[0].iov_len > 1) {
            struct iovec half = {parts[0].iov_base, parts[0].iov_len / 2};
            control->short_write = 0;
            return write_any(fd, &half, 1, at, placed);
        }
        if (wrong) { errno = wrong; return -1; }
        lock();
        if (!placed) {
            at = syscall(SYS_lseek, fd, 0, SEEK_CUR);
            int flags = syscall(SYS_fcntl, fd, F_GETFL);
            if (flags >= 0 && (flags & O_APPEND)) { struct stat now; fstat(fd, &now); at = now.st_size; }
        }
    }
    ssize_t done = placed ? syscall(SYS_pwritev, fd, parts, count, at, 0) : syscall(SYS_writev, fd, parts, count);
    if (mine) {
        if (done > 0) note_iov(WRITE, at, path, "", parts, count);
        unlock();
    }
    return done;
}

ssize_t write(int fd, const void *data, size_t length) {
    struct iovec part = {(void *)data, length};
    if (control == &idle) return syscall(SYS_write, fd, data, length);
    return write_any(fd, &part, 1, 0, 0);
}
ssize_t writev(int fd, const struct iovec *parts, int count) { return write_any(fd, parts, count, 0, 0); }
ssize_t pwrite(int fd, const void *data, size_t length, off_t at) {
    struct iovec part = {(void *)data, length};
    return write_any(fd, &part, 1, at, 1);
}
ssize_t pwrite64(int fd, const void *data, size_t length, off64_t at) { return pwrite(fd, data, length, at); }

static int truncate_any(int fd, off_t length) {
    char path[512];
    if (inside || !path_of_fd(fd, path, sizeof path) || !ours(path)) return syscall(SYS_ftruncate, fd, length);
    FAIL(TRUNCATE, path);
    lock();
    int done = syscall(SYS_ftruncate, fd, length);
    if (!done) note(TRUNCATE, length, path, "", NULL, 0);
    unlock();
    return done;
}
int ftruncate(int fd, off_t length) { return truncate_any(fd, length); }
int ftruncate64(int fd, off64_t length) { return truncate_any(fd, length); }

static int flush_any(int fd, long number) {
    char path[512];
    if (inside || !path_of_fd(fd, path, sizeof path) || !ours(path)) return syscall(number, fd);
    FAIL(FLUSH, path);
    lock();
    int done = syscall(number, fd);
    if (!done) note(FLUSH, 0, path, "", NULL, 0);
    unlock();
    return done;
}
int fsync(int fd) { return flush_any(fd, SYS_fsync); }
int fdatasync(int fd) { return flush_any(fd, SYS_fdatasync); }

static int rename_any(int from_dir, const char *from, int to_dir, const char *to) {
    char source[512], target[512];
    absolute(from_dir, from, source, sizeof source);
    absolute(to_dir, to, target, sizeof target);
    if (inside || !ours(target)) return syscall(SYS_renameat2, from_dir, from, to_dir, to, 0);
    FAIL(RENAME, target);
    lock();
    int done = syscall(SYS_renameat2, from_dir, from, to_dir, to, 0);
    if (!done) note(RENAME, 0, source, target, NULL, 0);
    unlock();
    return done;
}
int rename(const char *from, const char *to) { return rename_any(AT_FDCWD, from, AT_FDCWD, to); }
int renameat(int a, const char *from, int b, const char *to) { return rename_any(a, from, b, to); }

static int unlink_any(int dir, const char *name, int flags) {
    char path[512];
    absolute(dir, name, path, sizeof path);
    if (inside || !ours(path)) return syscall(SYS_unlinkat, dir, name, flags);
    FAIL(UNLINK, path);
    lock();
    int done = syscall(SYS_unlinkat, dir, name, flags);
    if (!done) note(UNLINK, 0, path, "", NULL, 0);
    unlock();
    return done;
}
int unlink(const char *name) { return unlink_any(AT_FDCWD, name, 0); }
int unlinkat(int dir, const char *name, int flags) { return unlink_any(dir, name, flags); }

int mkdir(const char *name, mode_t mode) {
    char path[512];
    absolute(AT_FDCWD, name, path, sizeof path);
    if (inside || !ours(path)) return syscall(SYS_mkdirat, AT_FDCWD, name, mode);
    FAIL(MKDIR, path);
    lock();
    int done = syscall(SYS_mkdirat, AT_FDCWD, name, mode);
    if (!done) note(MKDIR, 0, path, "", NULL, 0);
    unlock();
    return done;
}

static int say(struct statvfs *out) {
    if (control->free_bytes >= 0) {
        fsblkcnt_t blocks = control->free_bytes / (out->f_frsize ? out->f_frsize : 4096);
        out->f_bavail = out->f_bfree = blocks;
    }
    return 0;
}
int statvfs(const char *restrict path, struct statvfs *restrict out) {
    REAL(int, "statvfs", const char *, struct statvfs *);
    return real(path, out) ? -1 : say(out);
}
int fstatvfs(int fd, struct statvfs *out) {
    REAL(int, "fstatvfs", int, struct statvfs *);
    return real(fd, out) ? -1 : say(out);
}
int statvfs64(const char *restrict path, struct statvfs64 *restrict out) {
    REAL(int, "statvfs64", const char *, struct statvfs64 *);
    return real(path, out) ? -1 : say((struct statvfs *)out);
}

/* --- sockets --------------------------------------------------------------------------------------------------- */

static void sending(int fd, const void *data, size_t length) {
    (void)fd;
    if (!control->root[0] || inside) return;
    step(SEND, "socket");
    lock();
    note(SEND, 0, "socket", "", data, length < 4096 ? length : 4096);
    unlock();
}
ssize_t send(int fd, const void *data, size_t length, int flags) {
    sending(fd, data, length);
    return syscall(SYS_sendto, fd, data, length, flags, NULL, 0);
}
ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
    if (message->msg_iovlen) sending(fd, message->msg_iov[0].iov_base, message->msg_iov[0].iov_len);
    return syscall(SYS_sendmsg, fd, message, flags);
}
