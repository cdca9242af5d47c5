"""Somebody on the path between two UDP ports of this machine, who can read and forge but knows no key. Needs root.

e2e-spoof.py PORT_A PORT_B COUNT RATE SEED

Listens to what the two really send, and sends COUNT datagrams, at most RATE a second, to either under the other's address:
replayed, damaged, cut, lengthened, and made up. Prints how many packets it has overheard and sent. Ends with 3 where raw sockets
are forbidden even to root.
"""

import random
import socket
import struct
import sys
import time

PORT_A, PORT_B, COUNT, RATE, SEED = map(int, sys.argv[1:6])
HERE = socket.inet_aton('127.0.0.1')
KEPT = 256
BATCH = 100
FORBIDDEN = 3

chance = random.Random(SEED)
try:
    ears = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP)
    mouth = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
except PermissionError:
    sys.exit(FORBIDDEN)
ears.setblocking(False)
overheard = {(PORT_A, PORT_B): [], (PORT_B, PORT_A): []}
count = 0


def listen():
    """Keeps the newest packets of each direction, and some that are older: the handshake's have gone by before us."""
    global count
    for _ in range(BATCH):
        try:
            packet = ears.recv(65535)
        except BlockingIOError:
            return
        at = (packet[0] & 15) * 4
        sport, dport, _, checksum = struct.unpack_from('!HHHH', packet, at)
        kept = overheard.get((sport, dport))
        # Without a checksum it is one of our own.
        if kept is None or checksum == 0:
            continue
        count += 1
        payload = packet[at + 8:]
        if len(kept) < KEPT:
            kept.append(payload)
        else:
            kept[chance.randrange(KEPT)] = payload


def forge(real):
    kind = chance.randrange(6)
    forged = bytearray(real)
    if kind == 0:
        return bytes(forged)
    if kind == 1:
        for _ in range(chance.randint(1, 8)):
            forged[chance.randrange(len(forged))] ^= 1 << chance.randrange(8)
    elif kind == 2:
        del forged[chance.randint(0, len(forged)):]
    elif kind == 3:
        forged += chance.randbytes(chance.randint(1, 200))
    elif kind == 4:
        # The beginning is right, up to and with the connection id; what follows is noise.
        forged[21:] = chance.randbytes(max(0, len(forged) - 21))
    else:
        forged = bytearray(chance.randbytes(chance.randint(0, 1400)))
    return bytes(forged)


def send(sport, dport, payload):
    # The kernel fills in the lengths and checksums of IP; UDP's may be missing.
    ip = struct.pack('!BBHHHBBH4s4s', 0x45, 0, 28 + len(payload), 0, 0, 64, 17, 0, HERE, HERE)
    udp = struct.pack('!HHHH', sport, dport, 8 + len(payload), 0)
    mouth.sendto(ip + udp + payload, ('127.0.0.1', 0))


began = time.monotonic()
sent = 0
while sent < COUNT:
    listen()
    ready = [ports for ports, kept in overheard.items() if kept]
    if not ready:
        time.sleep(0.001)
        continue
    for _ in range(min(BATCH, COUNT - sent)):
        ports = chance.choice(ready)
        send(*ports, forge(chance.choice(overheard[ports])))
        sent += 1
    time.sleep(max(0, began + sent / RATE - time.monotonic()))
print(count, sent)
