import { describe, expect, it } from 'vitest';
import { Alarm } from '../../src/quic/alarm.ts';
import { Pulse } from '../../src/quic/pulse.ts';
import { forSeeds } from '../support/seeds.ts';
import { VirtualRuntime } from '../support/virtual-runtime.ts';

const KEEPALIVE = 7500;
const HOUR = 3_600_000;

interface Path {
  /** Round trip without jitter, and how much longer each way may take. */
  rtt?: number;
  jitter?: number;
  lossPercent?: number;
}

/** A pulse on a path whose other end answers each question. */
class Patient {
  readonly runtime: VirtualRuntime;
  readonly pulse: Pulse;
  readonly path: Path;
  dead = false;
  /** When we asked. */
  readonly questions: number[] = [];
  /** When it was silent, and heard again. */
  readonly changes: [at: number, silent: boolean][] = [];
  readonly #alarm: Alarm;
  #srtt: number | undefined;

  constructor(path: Path = {}, seed = 1) {
    this.path = path;
    this.runtime = new VirtualRuntime(seed);
    this.pulse = new Pulse(KEEPALIVE, 0);
    this.#srtt = path.rtt;
    this.#alarm = new Alarm(this.runtime, () => this.#poll());
    this.#poll();
  }

  /** What the peer sends on its own account. */
  hear(): void {
    const { silent } = this.pulse;
    this.pulse.heard(this.runtime.now());
    if (silent) this.changes.push([this.runtime.now(), false]);
  }

  carry(): void {
    if (this.pulse.carried(() => this.runtime.now())) this.#schedule();
  }

  watch(watching: boolean): void {
    this.pulse.watch(watching, this.runtime.now());
    this.#schedule();
  }

  /** Does something every so many milliseconds, so many times. */
  every(interval: number, times: number, action: () => void): void {
    for (let i = 0; i < times; i++) {
      this.runtime.advance(interval);
      action();
    }
  }

  #poll(): void {
    const { silent } = this.pulse;
    const now = this.runtime.now();
    if (this.pulse.poll(now, () => this.#srtt)) {
      this.questions.push(now);
      this.#ask(now);
    }
    if (this.pulse.silent !== silent) this.changes.push([now, true]);
    this.#schedule();
  }

  #schedule(): void {
    this.#alarm.set(this.pulse.wakeAt - this.runtime.now());
  }

  #ask(now: number): void {
    const { rtt = 1, jitter = 0, lossPercent = 0 } = this.path;
    const draw = () => this.runtime.randomBytes(4).readUInt32BE() / 2 ** 32;
    const lost = [draw(), draw()].some((luck) => luck * 100 < lossPercent);
    if (this.dead || lost) return;
    this.runtime.setTimer(rtt + (draw() + draw()) * jitter, () => {
      if (this.dead) return;
      // As RFC 9002 section 5.3 has it.
      this.#srtt = 0.875 * (this.#srtt ?? rtt) + 0.125 * (this.runtime.now() - now);
      this.hear();
    });
  }
}

describe('the pulse of a path that dies under load', () => {
  it.each([0.1, 10, 25, 49])('is found silent within 800 ms at a round trip of %d ms', (rtt) => {
    const patient = new Patient({ rtt });
    patient.watch(true);
    const traffic = () => {
      patient.hear();
      patient.carry();
    };
    patient.every(5, 200, traffic);
    patient.dead = true;
    patient.every(5, 400, () => patient.carry());
    expect(patient.changes.map(([, silent]) => silent)).toEqual([true]);
    const after = (patient.changes[0]?.[0] ?? 0) - 1000;
    expect(after).toBeGreaterThan(400);
    expect(after).toBeLessThan(800);
  });

  it('waits for three probe time-outs where the round trip is long, and for 1.5 s at most', () => {
    const patience = (rtt: number) => {
      const patient = new Patient({ rtt });
      patient.watch(true);
      patient.dead = true;
      patient.runtime.advance(5000);
      return (patient.changes[0]?.[0] ?? 0) - (patient.questions[0] ?? 0);
    };
    expect(patience(100)).toBe(3 * (100 + 100 + 25) + 20);
    expect(patience(5000)).toBe(1520);
  });

  it('is asked on while it is silent, and beats again when anything is heard', () => {
    const patient = new Patient({ rtt: 20 });
    patient.watch(true);
    patient.dead = true;
    patient.runtime.advance(10_000);
    const asked = patient.questions.filter((at) => at > 5000).length;
    expect(asked).toBe(10);
    patient.dead = false;
    patient.runtime.advance(1000);
    expect(patient.changes.map(([, silent]) => silent)).toEqual([true, false]);
    expect(patient.pulse.silent).toBe(false);
  });

  it('is asked on even when the streams have ended', () => {
    const patient = new Patient({ rtt: 20 });
    patient.watch(true);
    patient.dead = true;
    patient.runtime.advance(1000);
    patient.watch(false);
    patient.dead = false;
    patient.runtime.advance(500);
    expect(patient.changes.map(([, silent]) => silent)).toEqual([true, false]);
  });
});

describe('the pulse of a path that lives', () => {
  it('needs no question while something is heard', () => {
    const patient = new Patient();
    patient.watch(true);
    patient.every(200, 1000, () => patient.hear());
    expect(patient.questions).toEqual([]);
  });

  it('is asked less and less often while streams are open and carry nothing', () => {
    const patient = new Patient({ rtt: 0 });
    patient.watch(true);
    patient.runtime.advance(40_000);
    const pauses = patient.questions.map((at, i) => at - (patient.questions[i - 1] ?? 0));
    expect(pauses).toEqual([250, 500, 1000, 2000, 4000, 7500, 7500, 7500, 7500]);
  });

  it('is watched closely again as soon as something is carried, even when nothing was heard for long', () => {
    const patient = new Patient({ rtt: 0 });
    patient.watch(true);
    patient.runtime.advance(20_000);
    const before = patient.questions.length;
    patient.carry();
    patient.dead = true;
    patient.runtime.advance(249);
    expect(patient.questions.length).toBe(before);
    patient.runtime.advance(551);
    expect(patient.changes.map(([at]) => at)).toEqual([20_670]);
  });

  it('is never called silent by a process that was asleep and has not read its mail', () => {
    const pulse = new Pulse(KEEPALIVE, 0);
    pulse.watch(true, 0);
    expect(pulse.poll(250, () => 10)).toBe(true);
    pulse.poll(60_000, () => 10);
    pulse.heard(60_001);
    pulse.poll(60_020, () => 10);
    expect(pulse.silent).toBe(false);
  });

  it.each<Path>([
    { rtt: 20, lossPercent: 1 },
    { rtt: 40, lossPercent: 5 },
    { rtt: 150, lossPercent: 5 },
    { rtt: 10, jitter: 200 },
    { rtt: 60, jitter: 200, lossPercent: 2 },
  ])('gives no false alarm in an hour of %j', (path) => {
    forSeeds(3, (random, seed) => {
      const patient = new Patient(path, seed);
      patient.watch(true);
      while (patient.runtime.now() < HOUR) {
        patient.runtime.advance(random.integer(4000));
        patient.carry();
      }
      expect(patient.questions.length).toBeGreaterThan(1000);
      expect(patient.changes).toEqual([]);
    });
  });
});

describe('the pulse of an idle connection', () => {
  it('costs a question now and then, and is no cause for alarm', () => {
    const patient = new Patient();
    patient.runtime.advance(HOUR);
    expect(patient.questions.length).toBeLessThanOrEqual(HOUR / KEEPALIVE);
    patient.dead = true;
    patient.runtime.advance(30_000);
    expect(patient.changes).toEqual([]);
  });

  it('is idle again when the last stream has ended', () => {
    const patient = new Patient();
    patient.watch(true);
    patient.runtime.advance(1000);
    patient.watch(false);
    patient.dead = true;
    const before = patient.questions.length;
    patient.runtime.advance(30_000);
    expect(patient.questions.length - before).toBe(4);
    expect(patient.changes).toEqual([]);
  });
});
