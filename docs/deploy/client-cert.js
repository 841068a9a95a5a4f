// Client-Cert (RFC 9440): the certificate a caller showed and nginx verified, as one structured field, or nothing.
function header(r) {
    if (r.variables.ssl_client_verify !== "SUCCESS") {
        return "";
    }
    const pem = r.variables.ssl_client_raw_cert || "";
    return ":" + pem.replace(/-----[A-Z ]+-----/g, "").replace(/\s+/g, "") + ":";
}
export default { header };
