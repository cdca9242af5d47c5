"""Holds packets back on their way through the core, as the kernel's netem would where there is one.

forwarder.py SEED DEVICE...

Each DEVICE is a TUN interface that this program makes, and into which the core routes what arrives on one uplink. A packet is
kept for the delay and written back; the kernel then routes it on. Every line on standard input is `MS JITTER_MS LOSS_PERCENT
BYTES_PER_SECOND QUEUE_MS` (rate 0: unlimited; what waits for its turn at that rate for longer is dropped), holds from the next
packet on, and is answered with `configured`. Ends with its input.
"""

import fcntl
import heapq
import os
import random
import select
import struct
import sys
import time

TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000
BATCH = 256


def open_tun(name):
    tun = os.open('/dev/net/tun', os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tun, TUNSETIFF, struct.pack('16sH22x', name.encode(), IFF_TUN | IFF_NO_PI))
    return tun


def undo_hop(packet):
    """The detour must not count as a hop: packets with a small TTL have to die where they would without it."""
    if packet[0] >> 4 == 6:
        packet[7] += 1
        return
    packet[8] += 1
    # RFC 1624: the header's sum goes down by as much as the word of the TTL went up.
    checksum = (packet[10] << 8 | packet[11]) - 0x100
    if checksum < 0:
        checksum += 0xFFFF
    packet[10], packet[11] = checksum >> 8, checksum & 0xFF


class Forwarder:
    def __init__(self, seed, tuns):
        self.random = random.Random(seed)
        self.tuns = tuns
        self.free_at = dict.fromkeys(tuns, 0.0)
        self.held = []
        self.count = 0
        self.delay = self.jitter = self.loss = self.rate = self.queue = 0.0

    def configure(self, line):
        ms, jitter_ms, loss_percent, self.rate, queue_ms = map(float, line.split())
        self.delay, self.jitter, self.queue = ms / 1000, jitter_ms / 1000, queue_ms / 1000
        self.loss = loss_percent / 100

    def take(self, tun):
        for _ in range(BATCH):
            try:
                packet = bytearray(os.read(tun, 65536))
            except BlockingIOError:
                return
            if self.random.random() < self.loss:
                continue
            now = time.monotonic()
            if self.rate > 0:
                start = max(now, self.free_at[tun])
                if start - now > self.queue:
                    continue
                self.free_at[tun] = now = start + len(packet) / self.rate
            undo_hop(packet)
            self.count += 1
            due = now + self.delay + self.random.uniform(0, self.jitter)
            heapq.heappush(self.held, (due, self.count, tun, packet))

    def release(self):
        now = time.monotonic()
        while self.held and self.held[0][0] <= now:
            _, _, tun, packet = heapq.heappop(self.held)
            try:
                os.write(tun, packet)
            except OSError:
                pass  # As on any network, what cannot be sent is lost.

    def wait(self):
        return max(0.0, self.held[0][0] - time.monotonic()) if self.held else None


def main():
    forwarder = Forwarder(int(sys.argv[1]), [open_tun(name) for name in sys.argv[2:]])
    control = sys.stdin.fileno()
    while True:
        readable, _, _ = select.select([control, *forwarder.tuns], [], [], forwarder.wait())
        for source in readable:
            if source != control:
                forwarder.take(source)
                continue
            lines = os.read(control, 4096).decode().splitlines()
            if not lines:
                return
            forwarder.configure(lines[-1])
            print('configured\n' * len(lines), end='', flush=True)
        forwarder.release()


main()
