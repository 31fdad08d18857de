"""A proxy in front of the Docker daemon, for the faults that a real one rarely has, and for reaching it
over TCP. One request for each connection; rules say what goes wrong with which."""
import re
import socket
import threading

CHUNK = 65536


class Rule:
    """What happens to requests whose first line matches `pattern`, at most `times` times.

    do: "status:500" answers so itself, with `body` if there is one; "hang" takes the request and never
    answers; "reset" cuts the connection at once; "cut:N" cuts it after N bytes of the answer; "end:N"
    ends the answer's chunked body after N bytes of it as if it were whole; "stall:N:S" stops for S
    seconds after N bytes; "gate:N" stops after N bytes, which `reached` tells, until open() is called;
    "late:S" is passed on after S seconds, also when the client has gone; "shut:N" cuts it after N bytes
    of the request's body."""

    def __init__(self, pattern, do, times=1 << 30, body=None):
        self.pattern, self.do, self.times = re.compile(pattern), do.split(":"), times
        self.body, self.hits = body, 0
        self.reached, self.opened = threading.Event(), threading.Event()

    def open(self):
        self.opened.set()

    def pause(self):
        """In the middle of an answer."""
        if self.do[0] == "gate":
            self.reached.set()
            self.opened.wait()
        elif self.do[0] == "stall":
            self.reached.set()
            threading.Event().wait(float(self.do[2]))


class Proxy:
    def __init__(self, target, rules=(), path=None):
        """Listens at the Unix socket `path`, or at a port of 127.0.0.1 (self.host says which)."""
        self.target, self.rules, self.log = target, list(rules), []
        self.lock = threading.Lock()
        if path:
            self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.listener.bind(path)
            self.host = "unix://" + path
        else:
            self.listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            self.listener.bind(("127.0.0.1", 0))
            self.host = "tcp://127.0.0.1:%d" % self.listener.getsockname()[1]
        self.listener.listen(64)
        self.open = True
        threading.Thread(target=self.accept, daemon=True).start()

    def close(self):
        self.open = False
        for rule in self.rules:
            rule.open()
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def seen(self, pattern):
        """How many requests had a first line like this."""
        with self.lock:
            return sum(bool(re.search(pattern, line)) for line in self.log)

    def accept(self):
        while self.open:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def rule(self, line):
        with self.lock:
            self.log.append(line)
            for rule in self.rules:
                if rule.times > rule.hits and rule.pattern.search(line):
                    rule.hits += 1
                    return rule
        return None

    def serve(self, client):
        daemon = None
        try:
            head = b""
            while b"\r\n\r\n" not in head:
                data = client.recv(CHUNK)
                if not data:
                    return
                head += data
            head, body = head.split(b"\r\n\r\n", 1)
            line = head.split(b"\r\n", 1)[0].decode(errors="replace")
            rule = self.rule(line)
            do = rule.do if rule else ["pass"]
            if do[0] == "status":
                text = b'{"message":"the proxy says no"}\n' if rule.body is None else rule.body
                client.sendall(b"HTTP/1.1 %s Fault\r\nContent-Type: application/json\r\n"
                               b"Content-Length: %d\r\nConnection: close\r\n\r\n%s"
                               % (do[1].encode(), len(text), text))
                return
            if do[0] == "hang":
                while client.recv(CHUNK):
                    pass
                return
            if do[0] == "reset":
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                return
            if do[0] == "late":
                threading.Event().wait(float(do[1]))
            if not re.search(rb"(?i)\r\nupgrade:", head):
                head = re.sub(rb"(?i)\r\nconnection:[^\r]*", b"", head) + b"\r\nConnection: close"
            daemon = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            daemon.connect(self.target)
            most = int(do[1]) if do[0] == "shut" else None
            daemon.sendall(head + b"\r\n\r\n" + body[:most])
            if most is not None:
                most -= len(body)
                if most <= 0:
                    return
            up = threading.Thread(target=pipe, args=(client, daemon, most), daemon=True)
            up.start()
            answer(daemon, client, do, rule)
        except OSError:
            pass
        finally:
            for s in (client, daemon):
                if s:
                    end(s)


def end(s):
    """Also for a thread that still waits for it: close() alone would leave it open."""
    try:
        s.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    s.close()


def pipe(source, sink, most=None):
    """Until the source ends; then the other side is told. most: bytes after which both are cut."""
    try:
        while True:
            data = source.recv(CHUNK)
            if most is not None and len(data) >= most:
                sink.sendall(data[:max(0, most)])
                end(sink)
                end(source)
                return
            most = None if most is None else most - len(data)
            if not data:
                sink.shutdown(socket.SHUT_WR)
                return
            sink.sendall(data)
    except OSError:
        pass


def answer(daemon, client, do, rule):
    left = int(do[1]) if do[0] in ("cut", "end", "stall", "gate") else None
    if do[0] == "end":
        return end_early(daemon, client, left)
    while True:
        data = daemon.recv(CHUNK)
        if not data:
            client.shutdown(socket.SHUT_WR)
            return None
        if left is not None and len(data) >= left:
            client.sendall(data[:left])
            if do[0] == "cut":
                return None
            rule.pause()
            data, left = data[left:], None
        elif left is not None:
            left -= len(data)
        client.sendall(data)


def end_early(daemon, client, left):
    """The body's first `left` bytes, properly ended."""
    stream = daemon.makefile("rb")
    while True:
        line = stream.readline()
        client.sendall(line)
        if line in (b"\r\n", b""):
            break
    while left > 0:
        size = int(stream.readline().split(b";")[0] or b"0", 16)
        if size == 0:
            break
        data = stream.read(size)[:left]
        stream.read(2)
        client.sendall(b"%x\r\n%s\r\n" % (len(data), data))
        left -= len(data)
    client.sendall(b"0\r\n\r\n")
