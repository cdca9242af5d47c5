import os from 'node:os';

/**
 * What to bind for a host: itself, or where it is the wildcard every address of this machine that it stands for, since a reply
 * has to leave from the address that the application knows, and Node cannot say which that is. `::` stands for IPv4, too, as it
 * does for TCP.
 */
export function addressesToBind(host: string): readonly string[] {
  if (!isWildcard(host)) return [host];
  const families = host === '0.0.0.0' ? ['IPv4'] : ['IPv4', 'IPv6'];
  const addresses = new Set<string>();
  for (const [name, infos = []] of Object.entries(interfaces())) {
    for (const info of infos) if (families.includes(info.family)) addresses.add(withZone(name, info));
  }
  return [...addresses];
}

export function isWildcard(host: string): boolean {
  return host === '0.0.0.0' || host === '::';
}

/** A link-local address means something on its interface only, which Windows knows by number. */
function withZone(name: string, info: os.NetworkInterfaceInfo): string {
  if (info.family !== 'IPv6' || info.scopeid === 0) return info.address;
  return `${info.address}%${process.platform === 'win32' ? info.scopeid : name}`;
}

function interfaces(): NodeJS.Dict<os.NetworkInterfaceInfo[]> {
  try {
    return os.networkInterfaces();
  } catch {
    // Newer Androids forbid it.
    return { lo: [loopback] };
  }
}

const loopback: os.NetworkInterfaceInfo = {
  ...{ address: '127.0.0.1', netmask: '255.0.0.0', family: 'IPv4', mac: '', internal: true },
  cidr: '127.0.0.1/8',
};
