import type { Behaviour } from './behaviour.ts';
import { testFiltering } from './filtering-test.ts';
import { testHairpin } from './hairpin-test.ts';
import type { Observations } from './observations.ts';
import { testPoisoning } from './poison-test.ts';
import { type Prober, promptnessFor, type Reference } from './prober.ts';
import { testArmingTtl } from './ttl-test.ts';
import type { Verdict } from './verdict.ts';

/** Observations that tests make one by one. */
type Tested = Pick<Observations, 'filtering' | 'hairpin' | 'poisonable' | 'armingTtl'>;

export interface BehaviourTestsOptions {
  readonly prober: Prober;
  readonly reference: Reference;
  /** What the sampling has shown. */
  readonly verdict: Pick<Verdict, 'mapping' | 'allocation' | 'reflexive'>;
  /** More sampling, where there has not been enough. */
  readonly sample?: ((settle: () => void) => void) | undefined;
  /** More is known than before, or it is later. */
  readonly onProgress: () => void;
}

/** What is tested once the mapping is known, all at the same time and each on sockets of its own. */
export class BehaviourTests {
  readonly #options: BehaviourTestsOptions;
  readonly #tested: { -readonly [Key in keyof Tested]?: Tested[Key] } = {};
  readonly #pending = new Set<keyof Tested | 'samples'>();
  #isLate = false;

  constructor(options: BehaviourTestsOptions) {
    this.#options = options;
  }

  /** Undefined, or less than in the end, where a test is not over. */
  get tested(): Readonly<Partial<Tested>> {
    return this.#tested;
  }

  get isOver(): boolean {
    return this.#pending.size === 0;
  }

  /** Whether what would have come at once, were it not lost, has had its time. */
  get isLate(): boolean {
    return this.#isLate;
  }

  /**
   * Whether hole punching can begin: the ports of a NAT that changes them are foreseen as well as can be, of another it is known
   * whom it lets in at least, and of both the arming TTL, where there is one.
   */
  get isEnough(): boolean {
    const isPending = (...tests: (keyof Tested | 'samples')[]) => tests.some((one) => this.#pending.has(one));
    if (!isStable(this.#options.verdict.mapping)) return !isPending('samples', 'armingTtl');
    if (this.#tested.filtering?.otherAddress) return true;
    return !isPending('armingTtl') && (this.#isLate || !isPending('filtering'));
  }

  start(): void {
    const { prober, reference, verdict, sample } = this.#options;
    const { mapping, allocation, reflexive } = verdict;
    const stable = isStable(mapping);
    // With a mapping for each address there are too few addresses to see ports being used up.
    const step = mapping === 'address-and-port-dependent' ? (allocation?.step ?? undefined) : undefined;
    prober.after(promptnessFor(reference), () => {
      this.#isLate = true;
      this.#options.onProgress();
    });
    const runs = [
      this.#begin('filtering', (settle) =>
        testFiltering(prober, reference, this.#learn('filtering'), settle),
      ),
      this.#test('hairpin', (settle) => testHairpin(prober, reference, reflexive, settle)),
      stable && this.#test('poisonable', (settle) => testPoisoning(prober, reference, settle)),
      (stable || step !== undefined) &&
        this.#test('armingTtl', (settle) => testArmingTtl(prober, reference, step, settle)),
      sample && this.#begin('samples', sample),
    ];
    // None before all are pending: some are over at once.
    for (const run of runs) if (run) run();
  }

  /** A test with one result. */
  #test<Key extends keyof Tested>(key: Key, run: (settle: (result: Tested[Key]) => void) => void) {
    const learn = this.#learn(key);
    return this.#begin(key, (settle) =>
      run((result) => {
        learn(result);
        settle();
      }),
    );
  }

  #learn<Key extends keyof Tested>(key: Key): (result: Tested[Key]) => void {
    return (result) => {
      this.#tested[key] = result;
      this.#options.onProgress();
    };
  }

  #begin(what: keyof Tested | 'samples', run: (settle: () => void) => void): () => void {
    this.#pending.add(what);
    return () =>
      run(() => {
        this.#pending.delete(what);
        this.#options.onProgress();
      });
  }
}

/** Whether every destination sees the same. */
function isStable(mapping: Behaviour): boolean {
  return mapping === 'endpoint-independent' || mapping === 'none';
}
