"""Opens UDP flows one after another, each from a new socket, as a busy neighbour does, and so uses up a NAT's ports.

burner.py ADDRESS: sends to its ports from 9000. Every line on standard input is a rate in flows per second, 0 for a pause.
Says so. Ends with its input.
"""

import itertools
import os
import select
import socket
import sys
import time


def burn(destination):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as flow:
        flow.sendto(b'\0', destination)


def main():
    address = sys.argv[1]
    ports = itertools.cycle(range(9000, 10000))
    rate, due = 0.0, 0.0
    while True:
        wait = max(0.0, due - time.monotonic()) if rate > 0 else None
        if select.select([sys.stdin], [], [], wait)[0]:
            lines = os.read(sys.stdin.fileno(), 4096).decode().splitlines()
            if not lines:
                return
            rate, due = float(lines[-1]), time.monotonic()
            print('burning', rate, flush=True)
        elif rate > 0:
            burn((address, next(ports)))
            due += 1 / rate


main()
