/** More ports are not guessed at: a busy NAT is measured again instead. */
export const MAX_GUESSES = 6;

const LOWEST_PORT = 1024;
const HIGHEST_PORT = 65_535;

/**
 * The ports that a NAT which counts by `step` (signed) may have given to a mapping that was made after the one with port `before`
 * and before the one with port `after`: at most six, the likeliest first.
 */
export function bracketPorts(before: number, after: number, step: number): number[] {
  const distance = (after - before) / step;
  if (distance < 0) return aroundEnd(before, after, step);
  // Others who took ports meanwhile, and gaps in the counting, are as likely on one side as on the other.
  const inside = Array.from({ length: Math.max(0, Math.ceil(distance) - 1) }, (_, i) => i + 1);
  return inside
    .sort((one, other) => Math.abs(one - distance / 2) - Math.abs(other - distance / 2))
    .slice(0, MAX_GUESSES)
    .map((steps) => before + steps * step);
}

/** The ports of mappings made next after the one with port `last`, or before it with a step turned round. */
export function extrapolatePorts(last: number, step: number): number[] {
  return ahead(last, step).slice(0, MAX_GUESSES);
}

/** The counter came to its end and began again, nobody knows where: the port is close to one of the two that are known. */
function aroundEnd(before: number, after: number, step: number): number[] {
  const [ups, downs] = [ahead(before, step), ahead(after, -step)];
  return Array.from({ length: MAX_GUESSES }, (_, i) => [ups[i], downs[i]])
    .flat()
    .filter((port) => port !== undefined)
    .slice(0, MAX_GUESSES);
}

/** Whether a NAT gives such ports, and we may send there. */
export function isPort(port: number): boolean {
  return port >= LOWEST_PORT && port <= HIGHEST_PORT;
}

function ahead(port: number, step: number): number[] {
  return Array.from({ length: MAX_GUESSES }, (_, i) => port + (i + 1) * step).filter(isPort);
}
