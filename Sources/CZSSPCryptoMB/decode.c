// SPDX-License-Identifier: Apache-2.0
// Decoding of compressed points of P-384 (SEC 1 section 2.3.4), eight at once: the square root of
// x^3 - 3x + b, which is the power (p + 1) / 4, as p is 3 modulo 4. Public keys are not secret.
#include "CZSSPCryptoMB.h"

#if defined(__linux__) && defined(__x86_64__)
#include <immintrin.h>
#include <string.h>

#define TARGET __attribute__((target("avx512f,avx512ifma")))
#define LANES ZSSP_P384_LANES
#define LIMBS 8
#define BITS 52
#define MASK ((1ULL << BITS) - 1)

// An element of the field in each lane: limbs of 52 bits, the lowest first, in Montgomery's form
// with R = 2^416. Values stay below 2^390: R is so much larger than p that a product is below 2p
// whatever its factors below that bound are, so sums need no reduction.
typedef struct {
  __m512i limb[LIMBS];
} element;

// p = 2^384 - 2^128 - 2^96 + 2^32 - 1
static const uint64_t prime[LIMBS] = {0x00000FFFFFFFF, 0xFF00000000000, 0xFFFFFFEFFFFFF, 0xFFFFFFFFFFFFF,
                                      0xFFFFFFFFFFFFF, 0xFFFFFFFFFFFFF, 0xFFFFFFFFFFFFF, 0x00000000FFFFF};
// -1 / p modulo 2^52
static const uint64_t inverse = 0x100000001;
// R^2 modulo p
static const uint64_t square_of_r[LIMBS] = {0x0000000000000, 0xFE00000001000, 0x0000000FFFFFF, 0x0000000000020,
                                            0x0FFFFFFFE0000, 0x0000020000000, 0x0000000000100, 0x0000000000000};
// -3 and b of the curve's equation, in Montgomery's form
static const uint64_t minus_three[LIMBS] = {0xFFFFDFFFFFFFF, 0xFF00000002FFF, 0xFFFFFFBFFFFFF, 0xFFFFFFFFFFFCF,
                                            0xFFFFFFFFFFFFF, 0xFFFFFFFFFFFFF, 0xFFFFFFFFFFFFF, 0x00000000FFFFF};
static const uint64_t coefficient[LIMBS] = {0x91C81CD08114B, 0x3708118870D03, 0x431BF24475444, 0x209B1920022FC,
                                            0xE94938AE277F2, 0x022094E3374BE, 0xFF9B62B21F41F, 0x00000000604FB};
static const uint64_t one[LIMBS] = {1};

TARGET static inline element all(const uint64_t *limbs) {
  element result;
  for (int limb = 0; limb < LIMBS; limb++) result.limb[limb] = _mm512_set1_epi64((long long)limbs[limb]);
  return result;
}

// Moves what is above 52 bits to the next limb.
TARGET static inline void carry(element *value) {
  const __m512i mask = _mm512_set1_epi64((long long)MASK);
  for (int limb = 0; limb < LIMBS - 1; limb++) {
    value->limb[limb + 1] = _mm512_add_epi64(value->limb[limb + 1], _mm512_srli_epi64(value->limb[limb], BITS));
    value->limb[limb] = _mm512_and_si512(value->limb[limb], mask);
  }
}

TARGET static inline element sum(const element *left, const element *right) {
  element result;
  for (int limb = 0; limb < LIMBS; limb++) result.limb[limb] = _mm512_add_epi64(left->limb[limb], right->limb[limb]);
  carry(&result);
  return result;
}

// left * right / R modulo p
TARGET static element product(const element *left, const element *right) {
  const element modulus = all(prime);
  const __m512i factor = _mm512_set1_epi64((long long)inverse);
  element result;
  for (int limb = 0; limb < LIMBS; limb++) result.limb[limb] = _mm512_setzero_si512();
#pragma clang loop unroll(full)
  for (int round = 0; round < LIMBS; round++) {
    const __m512i digit = right->limb[round];
    for (int limb = 0; limb < LIMBS; limb++)
      result.limb[limb] = _mm512_madd52lo_epu64(result.limb[limb], left->limb[limb], digit);
    // This multiple of p makes the lowest limb a multiple of 2^52.
    const __m512i multiple = _mm512_madd52lo_epu64(_mm512_setzero_si512(), result.limb[0], factor);
    for (int limb = 0; limb < LIMBS; limb++)
      result.limb[limb] = _mm512_madd52lo_epu64(result.limb[limb], modulus.limb[limb], multiple);
    const __m512i rest = _mm512_srli_epi64(result.limb[0], BITS);
    for (int limb = 0; limb < LIMBS - 1; limb++) result.limb[limb] = result.limb[limb + 1];
    result.limb[LIMBS - 1] = _mm512_setzero_si512();
    result.limb[0] = _mm512_add_epi64(result.limb[0], rest);
    for (int limb = 0; limb < LIMBS; limb++) {
      result.limb[limb] = _mm512_madd52hi_epu64(result.limb[limb], left->limb[limb], digit);
      result.limb[limb] = _mm512_madd52hi_epu64(result.limb[limb], modulus.limb[limb], multiple);
    }
  }
  carry(&result);
  return result;
}

// value^(2^times) * factor
TARGET static element raise(const element *value, int times, const element *factor) {
  element result = *value;
  for (int time = 0; time < times; time++) result = product(&result, &result);
  return product(&result, factor);
}

// value^((p + 1) / 4). The exponent is 255 ones, a zero, 32 ones, 63 zeros, a one and 30 zeros.
TARGET static element root(const element *value) {
  const element ones2 = raise(value, 1, value);
  const element ones3 = raise(&ones2, 1, value);
  const element ones6 = raise(&ones3, 3, &ones3);
  const element ones12 = raise(&ones6, 6, &ones6);
  const element ones15 = raise(&ones12, 3, &ones3);
  const element ones30 = raise(&ones15, 15, &ones15);
  const element ones60 = raise(&ones30, 30, &ones30);
  const element ones120 = raise(&ones60, 60, &ones60);
  const element ones240 = raise(&ones120, 120, &ones120);
  const element ones255 = raise(&ones240, 15, &ones15);
  const element ones32 = raise(&ones30, 2, &ones2);
  const element high = raise(&ones255, 33, &ones32);
  element result = raise(&high, 64, value);
  for (int time = 0; time < 30; time++) result = product(&result, &result);
  return result;
}

typedef uint64_t words[6];

static const words prime_words = {0x00000000FFFFFFFF, 0xFFFFFFFF00000000, 0xFFFFFFFFFFFFFFFE,
                                  0xFFFFFFFFFFFFFFFF, 0xFFFFFFFFFFFFFFFF, 0xFFFFFFFFFFFFFFFF};

static void read_words(words result, const uint8_t *bytes) {
  for (int word = 0; word < 6; word++) {
    uint64_t value;
    memcpy(&value, bytes + 40 - 8 * word, 8);
    result[word] = __builtin_bswap64(value);
  }
}

static void write_words(uint8_t *bytes, const words value) {
  for (int word = 0; word < 6; word++) {
    uint64_t swapped = __builtin_bswap64(value[word]);
    memcpy(bytes + 40 - 8 * word, &swapped, 8);
  }
}

// result = left - right. Returns the borrow.
static int difference(words result, const words left, const words right) {
  unsigned long long borrow = 0;
  for (int word = 0; word < 6; word++)
    result[word] = __builtin_subcll(left[word], right[word], borrow, &borrow);
  return (int)borrow;
}

// Leaves Montgomery's form, and returns the numbers below p.
TARGET static void reduced(words *results, const element *value) {
  uint64_t limbs[LIMBS][LANES];
  const element factor = all(one);
  const element plain = product(value, &factor);
  for (int limb = 0; limb < LIMBS; limb++) _mm512_storeu_si512(limbs[limb], plain.limb[limb]);
  for (int lane = 0; lane < LANES; lane++) {
    words number, smaller;
    for (int word = 0; word < 6; word++) {
      const int limb = 64 * word / BITS, shift = 64 * word % BITS;
      number[word] = limbs[limb][lane] >> shift | limbs[limb + 1][lane] << (BITS - shift);
      if (shift > 2 * BITS - 64) number[word] |= limbs[limb + 2][lane] << (2 * BITS - shift);
    }
    // The product is at most p.
    const int is_below = difference(smaller, number, prime_words);
    memcpy(results[lane], is_below ? number : smaller, sizeof number);
  }
}

TARGET unsigned zssp_p384_decode(size_t count, const uint8_t *encoded, uint8_t *points) {
  uint64_t limbs[LIMBS][LANES] = {{0}};
  unsigned refused = 0;
  for (size_t lane = 0; lane < count; lane++) {
    words number, rest;
    read_words(number, encoded + 49 * lane + 1);
    if (!difference(rest, number, prime_words)) refused |= 1u << lane;
    for (int limb = 0; limb < LIMBS; limb++) {
      const int word = BITS * limb / 64, shift = BITS * limb % 64;
      uint64_t bits = number[word] >> shift;
      if (shift > 64 - BITS && word < 5) bits |= number[word + 1] << (64 - shift);
      limbs[limb][lane] = bits & MASK;
    }
  }
  element plain;
  for (int limb = 0; limb < LIMBS; limb++) plain.limb[limb] = _mm512_loadu_si512(limbs[limb]);
  const element square_r = all(square_of_r), minus3 = all(minus_three), b = all(coefficient);
  const element x = product(&plain, &square_r);
  const element x2 = product(&x, &x);
  const element slope = sum(&x2, &minus3);
  const element cubic = product(&slope, &x);
  const element right = sum(&cubic, &b);
  const element y = root(&right);
  const element left = product(&y, &y);

  words squares[LANES], expected[LANES], roots[LANES];
  reduced(squares, &left);
  reduced(expected, &right);
  reduced(roots, &y);
  for (size_t lane = 0; lane < count; lane++) {
    // Half of all x have no root: then the square is another number.
    if (memcmp(squares[lane], expected[lane], sizeof(words)) != 0) refused |= 1u << lane;
    // No point of the curve has a y of 0, because the order of the group is odd.
    if ((roots[lane][0] & 1) != (encoded[49 * lane] & 1)) difference(roots[lane], prime_words, roots[lane]);
    memcpy(points + 96 * lane, encoded + 49 * lane + 1, ZSSP_P384_SIZE);
    write_words(points + 96 * lane + ZSSP_P384_SIZE, roots[lane]);
  }
  return refused;
}
#endif
