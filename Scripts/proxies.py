"""The proxies of deploy/proxies, with their shipped configurations, on free ports of this machine."""
import pathlib, re, socket, subprocess, time

from processes import free_port

SHIPPED = pathlib.Path(__file__).resolve().parent.parent / "deploy/proxies"
NAMES = ("nginx", "haproxy", "envoy", "caddy")
HOST = "parallax.example.org"
FILES = {"nginx": "nginx/parallax.conf", "haproxy": "haproxy/haproxy.cfg", "envoy": "envoy/envoy.yaml", "caddy": "caddy/Caddyfile"}
# The listeners without and with TLS and the certificates in each shipped configuration, and their replacements.
LISTENERS = {
    "nginx": [("listen 80;", "listen 127.0.0.1:{plain};"), ("listen 443 ssl", "listen 127.0.0.1:{tls} ssl"),
              ("ssl_certificate /etc/nginx/parallax.pem", "ssl_certificate {certificate}"),
              ("ssl_certificate_key /etc/nginx/parallax.pem", "ssl_certificate_key {certificate}")],
    "haproxy": [("bind :80", "bind 127.0.0.1:{plain}"), ("bind :443", "bind 127.0.0.1:{tls}"),
                ("/etc/haproxy/parallax.pem", "{certificate}")],
    "envoy": [("address: 0.0.0.0, port_value: 80 ", "address: 127.0.0.1, port_value: {plain} "),
              ("address: 0.0.0.0, port_value: 443 ", "address: 127.0.0.1, port_value: {tls} "),
              ("/etc/envoy/parallax.pem", "{certificate}")],
    "caddy": [(f"{HOST} {{", "{{\n\tadmin off\n\tauto_https disable_redirects\n}}\n(site) {{")],
}
# The site is used twice, since a site without TLS cannot have certificates.
CADDY_SITES = f"""
http://:{{plain}} {{{{
	bind 127.0.0.1
	import site
}}}}
https://{HOST}:{{tls}} {{{{
	bind 127.0.0.1
	tls {{certificate}} {{certificate}}
	import site
}}}}
"""
# The change that makes each proxy send the nodes another host name than the client's, the default of some.
HOST_CHANGES = {
    "nginx": ("proxy_set_header Host $http_host;", "proxy_set_header Host $proxy_host;"),
    "haproxy": ("%[req.hdr(Host)]", "%[req.hdr(Host)]\n  http-request set-header Host nodes.internal"),
    "envoy": ("cluster: nodes\n", "cluster: nodes\n                            host_rewrite_literal: nodes.internal\n"),
    "caddy": ("lb_policy least_conn", "lb_policy least_conn\n\t\theader_up Host nodes.internal"),
}


def replaced(text, old, new):
    if old not in text:
        raise SystemExit(f"the shipped configuration has no {old!r}")
    return text.replace(old, new)


def make_certificate(folder):
    """A certificate of the public name that is its own authority, with its key in one file."""
    file = folder / "parallax.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", f"/CN={HOST}", "-addext", f"subjectAltName=DNS:{HOST}", "-keyout", file, "-out", folder / "certificate.pem"],
        check=True, capture_output=True)
    file.write_text(file.read_text() + (folder / "certificate.pem").read_text())
    return file


class Proxy:
    def __init__(self, name, program):
        self.name, self.program = name, program

    def version(self):
        option = {"nginx": "-v", "haproxy": "-v", "envoy": "--version", "caddy": "version"}[self.name]
        told = subprocess.run([self.program, option], capture_output=True, text=True, check=True)
        return re.search(r"\d+\.\d+\.\d+", told.stdout + told.stderr).group()

    def configuration(self, port, tls_port, certificate, node_ports, changes_host):
        text, places = (SHIPPED / FILES[self.name]).read_text(), {"plain": port, "tls": tls_port, "certificate": certificate}
        for old, new in LISTENERS[self.name]:
            text = replaced(text, old, new.format(**places))
        if self.name == "caddy":
            text += CADDY_SITES.format(**places)
        for number in range(3):
            address = f"10.0.0.1{number + 1}"
            if number < len(node_ports):
                text = replaced(text, f"{address}:8080" if self.name != "envoy" else f"{address}, port_value: 8080",
                                f"127.0.0.1{', port_value: ' if self.name == 'envoy' else ':'}{node_ports[number]}")
            elif self.name == "caddy":
                text = replaced(text, f" {address}:8080", "")
            else:
                text = "".join(line for line in text.splitlines(True) if address not in line)
        return replaced(text, *HOST_CHANGES[self.name]) if changes_host else text

    def start(self, processes, port, node_ports, label, changes_host=False, tls_port=None):
        """Starts the proxy in front of one to three nodes, and waits until it listens."""
        folder = processes.folder / label
        folder.mkdir()
        self.certificate = make_certificate(folder)
        file = folder / pathlib.Path(FILES[self.name]).name
        file.write_text(self.configuration(port, tls_port or free_port(), self.certificate, node_ports, changes_host))
        if self.name == "nginx":
            # The main file includes the shipped one.
            main = folder / "nginx.conf"
            paths = "".join(f"{kind}_temp_path {folder}/{kind}; " for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
            main.write_text(f"daemon off; pid {folder}/nginx.pid; error_log stderr; worker_processes 2; events {{}}\n"
                            f"http {{ access_log off; {paths}include {file}; }}\n")
            command = [self.program, "-e", "stderr", "-p", folder, "-c", main]
        else:
            command = {
                "haproxy": [self.program, "-db", "-f", file],
                "envoy": [self.program, "-c", file, "-l", "warning", "--concurrency", "2", "--use-dynamic-base-id"],
                "caddy": [self.program, "run", "--adapter", "caddyfile", "--config", file],
            }[self.name]
        processes.start(label, command, {"HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "XDG_DATA_HOME": str(folder)})
        for _ in range(400):
            if processes.running[label].poll() is not None:
                raise SystemExit(f"{self.name} ended: {(processes.folder / f'{label}.log').read_text()[-2000:]}")
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.05)
        raise SystemExit(f"{self.name} does not listen; see {label}.log")
