import { z } from 'zod';

// What messages of several files are made of.

/** b64u of exactly `size` bytes, in the one spelling that decodes to them: ids are compared as text. */
export const base64url = (size: number) =>
  z
    .string()
    .length(Math.ceil((size * 4) / 3))
    .refine(isCanonical, 'not base64url');

/** b64u of at most `size` bytes. */
export const opaque = (size: number) =>
  z
    .string()
    .min(1)
    .max(Math.ceil((size * 4) / 3))
    .refine(isCanonical, 'not base64url');

/** The id of a link. */
export const link = base64url(16);
export const mac = base64url(32);

function isCanonical(text: string): boolean {
  return Buffer.from(text, 'base64url').toString('base64url') === text;
}
