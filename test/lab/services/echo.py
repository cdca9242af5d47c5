"""An echo service over TCP, and one who uses it.

echo.py serve PORT: on 127.0.0.1, sends back whatever comes. Says `ready`.
echo.py dial: for each line `NUMBER open NAME PORT` connects to 127.0.0.1, sends a byte and waits for it to come back; for each
line `NUMBER again NAME` sends another byte through the connection of that name. Answers `NUMBER MILLISECONDS`, counted from the
begin of connecting or sending, or `NUMBER failed WHY`.

Both end with their input.
"""

import os
import socket
import sys
import threading
import time

PATIENCE = 10.0


def serve(port):
    listener = socket.create_server(('127.0.0.1', int(port)))
    print('ready', flush=True)
    run(lambda: accept(listener))
    sys.stdin.read()


def accept(listener):
    while True:
        connection, _ = listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        run(lambda connection=connection: send_back(connection))


def send_back(connection):
    with connection:
        try:
            while data := connection.recv(65536):
                connection.sendall(data)
        except OSError:
            pass  # Whoever was served has gone.


def dial():
    connections = {}
    for line in sys.stdin:
        run(lambda words=line.split(): answer(connections, *words))


def answer(connections, number, verb, name, port=None):
    started = time.monotonic()
    try:
        if verb == 'open':
            connections[name] = socket.create_connection(('127.0.0.1', int(port)), PATIENCE)
        connections[name].sendall(b'x')
        if connections[name].recv(1) != b'x':
            raise OSError('it was closed')
        said = f'{(time.monotonic() - started) * 1000:.1f}'
    except OSError as error:
        said = f'failed {error}'
    sys.stdout.write(f'{number} {said}\n')
    sys.stdout.flush()


def run(work):
    threading.Thread(target=work, daemon=True).start()


{'serve': serve, 'dial': dial}[sys.argv[1]](*sys.argv[2:])
os._exit(0)
