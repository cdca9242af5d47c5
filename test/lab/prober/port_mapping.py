"""Asks a router for port mappings by NAT-PMP (RFC 6886), PCP (RFC 6887) and UPnP-IGD, byte by byte.

port_mapping.py ROUTER OWN_ADDRESS: prints for each protocol the external address and port that the router grants, as JSON.
"""

import ipaddress
import json
import os
import re
import socket
import struct
import sys
import urllib.parse
import urllib.request

PORT = 5351
UDP = 17
LIFETIME = 120
SSDP = ('239.255.255.250', 1900)
SERVICE = 'urn:schemas-upnp-org:service:WANIPConnection:'


def ask(router, request):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(3)
        client.sendto(request, (router, PORT))
        return client.recv(1100)


def nat_pmp(router, _own):
    answer = ask(router, struct.pack('!BB', 0, 0))
    result, address = struct.unpack('!xxHxxxx4s', answer)
    mapped = ask(router, struct.pack('!BBHHHI', 0, 1, 0, 20001, 20001, LIFETIME))
    mapping_result, port = struct.unpack('!xxHxxxxxxHxxxx', mapped)
    assert result == mapping_result == 0, (result, mapping_result)
    return socket.inet_ntoa(address), port


def pcp(router, own):
    client = ipaddress.ip_address('::ffff:' + own).packed
    header = struct.pack('!BBHI16s', 2, 1, 0, LIFETIME, client)
    suggested = ipaddress.ip_address('::ffff:0.0.0.0').packed
    answer = ask(router, header + struct.pack('!12sBxxxHH16s', os.urandom(12), UDP, 20002, 20002, suggested))
    result = answer[3]
    assert result == 0, result
    port, address = struct.unpack('!H16s', answer[42:60])
    return str(ipaddress.ip_address(address).ipv4_mapped), port


def upnp(router, own):
    root = search(own)
    description = urllib.request.urlopen(root, timeout=3).read().decode()
    service, path = re.search(f'({SERVICE}[12]).*?<controlURL>([^<]*)<', description, re.DOTALL).groups()
    control = urllib.parse.urljoin(root, path)
    call(control, service, 'AddPortMapping', {
        'NewRemoteHost': '', 'NewExternalPort': 20003, 'NewProtocol': 'UDP', 'NewInternalPort': 20003,
        'NewInternalClient': own, 'NewEnabled': 1, 'NewPortMappingDescription': 'laboratory', 'NewLeaseDuration': LIFETIME,
    })
    answer = call(control, service, 'GetExternalIPAddress', {})
    return re.search(r'<NewExternalIPAddress>([^<]*)<', answer).group(1), 20003


def search(own):
    lines = ['M-SEARCH * HTTP/1.1', 'HOST: 239.255.255.250:1900', 'MAN: "ssdp:discover"', 'MX: 1', f'ST: {SERVICE}1']
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.bind((own, 0))
        client.settimeout(3)
        client.sendto('\r\n'.join([*lines, '', '']).encode(), SSDP)
        answer = client.recv(2048).decode()
    return re.search(r'(?im)^location: *(\S+)', answer).group(1)


def call(control, service, action, arguments):
    inner = ''.join(f'<{name}>{value}</{name}>' for name, value in arguments.items())
    body = (
        '<?xml version="1.0"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" '
        's:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/"><s:Body>'
        f'<u:{action} xmlns:u="{service}">{inner}</u:{action}></s:Body></s:Envelope>'
    )
    headers = {'Content-Type': 'text/xml; charset="utf-8"', 'SOAPAction': f'"{service}#{action}"'}
    request = urllib.request.Request(control, body.encode(), headers)
    return urllib.request.urlopen(request, timeout=3).read().decode()


def main():
    router, own = sys.argv[1:]
    granted = {}
    for protocol in (nat_pmp, pcp, upnp):
        address, port = protocol(router, own)
        granted[protocol.__name__] = f'{address}:{port}'
    print(json.dumps(granted))


main()
