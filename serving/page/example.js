/** The trace that the page starts with. */
export const EXAMPLE = `We need two whole numbers whose sum is 20 and whose product is 91.
Call them a and b, so a + b = 20 and ab = 91.
Factor 91: it is 7 times 13.
Those add up to 20, so the numbers seem to be 7 and 13.
Or maybe negative numbers should be allowed as well, say -7 and -13?
No, their sum would be -20, so that idea fails.
Alternatively, solve the quadratic x^2 - 20x + 91 = 0.
The discriminant is 400 - 364 = 38.
Wait, that is wrong: 400 - 364 is 36.
Its root is 6, so x = (20 + 6) / 2 = 13 or x = (20 - 6) / 2 = 7.
Let me go back to the beginning and check the conditions once more.
7 + 13 = 20 and 7 * 13 = 91.
The numbers are 7 and 13.`;
