"""UDP there and back.

round_trips.py echo ADDRESS PORT: sends back whatever comes. Says `ready`. Ends with its input.
round_trips.py measure ADDRESS PORT COUNT SIZE TTL: sends COUNT packets of SIZE bytes in one burst, and prints the milliseconds
after which each answer came, in order of arrival, as JSON; what has not come after a second without any is lost.
"""

import json
import select
import socket
import sys
import time

PATIENCE = 1.0


def open_socket(address):
    return socket.socket(socket.AF_INET6 if ':' in address else socket.AF_INET, socket.SOCK_DGRAM)


def echo(address, port):
    server = open_socket(address)
    server.bind((address, int(port)))
    print('ready', flush=True)
    while sys.stdin not in select.select([sys.stdin, server], [], [])[0]:
        packet, sender = server.recvfrom(65536)
        server.sendto(packet, sender)


def measure(address, port, count, size, ttl):
    client = open_socket(address)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    if ':' in address:
        client.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, int(ttl))
    else:
        client.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, int(ttl))
    client.settimeout(PATIENCE)
    start = time.monotonic()
    for _ in range(int(count)):
        client.sendto(bytes(int(size)), (address, int(port)))
    arrivals = []
    try:
        while len(arrivals) < int(count):
            client.recv(65536)
            arrivals.append((time.monotonic() - start) * 1000)
    except TimeoutError:
        pass  # The rest is lost.
    print(json.dumps(arrivals))


{'echo': echo, 'measure': measure}[sys.argv[1]](*sys.argv[2:])
