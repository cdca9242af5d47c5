"""Sends UDP packets from sockets that stay open, so that a router's connection tracking can be asked what became of them.

Every line on standard input is `LOCAL_PORT ADDRESS PORT`: one packet, from the socket on that local port; from a new socket
where the port is 0. Answered with the local port. Lines that come together are sent together. Ends with its input.
"""

import socket
import sys


def open_socket(sockets, port):
    if port not in sockets:
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.bind(('0.0.0.0', port))
        port = made.getsockname()[1]
        sockets[port] = made
    return port


def main():
    sockets = {}
    for line in sys.stdin:
        local, address, port = line.split()
        chosen = open_socket(sockets, int(local))
        sockets[chosen].sendto(b'\0', (address, int(port)))
        print(chosen, flush=True)


main()
