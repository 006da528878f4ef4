// Record codes: 20 digits, the last one a check digit by ISO/IEC 7064 MOD 11,10.

const DIGITS = 20;

/** The digits of what was typed, or null where a digit is missing or misheard. */
export function readCode(text) {
  const digits = text.normalize("NFKC").replace(/[\s.\-–]/g, "");
  if (!/^[0-9]+$/.test(digits) || digits.length !== DIGITS) return null;
  return checkDigit(digits.slice(0, -1)) === digits.at(-1) ? digits : null;
}

/** A code in groups of four, as it is written down. */
export function printCode(digits) {
  return digits.match(/.{1,4}/g).join(" ");
}

function checkDigit(digits) {
  let product = 10;
  for (const digit of digits) product = (((product + Number(digit)) % 10 || 10) * 2) % 11;
  return String((11 - product) % 10);
}
