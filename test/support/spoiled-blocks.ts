import { BlockPool } from '../../src/net/block-pool.ts';

/** Overwrites what is given back: whoever still needed it will notice. */
export class SpoiledBlocks extends BlockPool {
  override give(block: Buffer): void {
    block.fill(0xee);
    super.give(block);
  }
}
