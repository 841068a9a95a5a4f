#!/bin/sh
# Programs of the system that the tests use as second opinions: looked for, installed by apt-get when root, else named.
# Under CI=true a missing one is a failure; elsewhere the tests that need it are skipped with their reason.
set -eu

missing() {
    command -v xmlsec1 >/dev/null 2>&1 || printf '%s ' xmlsec1
    command -v pdfsig >/dev/null 2>&1 && command -v pdftoppm >/dev/null 2>&1 || printf '%s ' poppler-utils
    command -v qpdf >/dev/null 2>&1 || printf '%s ' qpdf
    command -v softhsm2-util >/dev/null 2>&1 || printf '%s ' softhsm2
    command -v openssl >/dev/null 2>&1 || printf '%s ' openssl
    command -v pg_ctl >/dev/null 2>&1 || ls /usr/lib/postgresql/*/bin/pg_ctl >/dev/null 2>&1 || printf '%s ' postgresql
    command -v cc >/dev/null 2>&1 || printf '%s ' gcc libc6-dev
    { PATH="$PATH:/usr/sbin" command -v nginx && ls /usr/lib*/nginx/modules/ngx_http_js_module.so; } >/dev/null 2>&1 ||
        printf '%s ' nginx libnginx-mod-http-js
    command -v systemd-analyze >/dev/null 2>&1 || printf '%s ' systemd
    command -v javac >/dev/null 2>&1 || printf '%s ' default-jdk-headless
}

packages=$(missing)
[ -n "$packages" ] || exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "edoc: cài chương trình dùng khi kiểm thử / installing programs used by the tests: $packages" >&2
    export DEBIAN_FRONTEND=noninteractive
    # shellcheck disable=SC2086  # a list of names
    { apt-get -qq update && apt-get -qq install -y --no-install-recommends $packages; } >/dev/null || true
    packages=$(missing)
    [ -n "$packages" ] || exit 0
fi
echo "edoc: thiếu chương trình cho một số kiểm thử, hãy cài / programs missing for some tests, please install: $packages" >&2
if [ "${CI:-}" = true ]; then exit 1; fi
