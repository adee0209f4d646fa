// SPDX-License-Identifier: Apache-2.0
// What ZSSPIPsecMB uses of libIPSec_MB. Most of that library's interface is macros over function pointers, which Swift
// does not import.
#pragma once
#if defined(__linux__) && defined(__x86_64__)

// The library's header aligns its structures for its own build alone.
#ifndef LINUX
#define LINUX
#endif
#include <intel-ipsec-mb.h>
#include <emmintrin.h>
#include <stdbool.h>
#include <wmmintrin.h>

// Keys lie in memory that is aligned for the widest registers. Swift imports no type of such alignment, so it has but
// their sizes and addresses.

/// A key for AES-256-GCM, expanded, and the state of the packet in work.
struct zssp_mb_packet_key {
  struct gcm_key_data key;
  struct gcm_context_data state;
};

/// A key for single blocks, expanded for both directions.
struct zssp_mb_header_key {
  __m128i encryption[15];
  __m128i decryption[15];
};

static const size_t zssp_mb_packet_key_size = sizeof(struct zssp_mb_packet_key);
static const size_t zssp_mb_header_key_size = sizeof(struct zssp_mb_header_key);

/// Whether the library tested itself when it was initialized (since 1.3) and found itself broken.
static inline bool zssp_mb_is_broken(const IMB_MGR *manager) {
#ifdef IMB_FEATURE_SELF_TEST
  return (manager->features & IMB_FEATURE_SELF_TEST) && !(manager->features & IMB_FEATURE_SELF_TEST_PASS);
#else
  return false;
#endif
}

static inline void zssp_mb_expand_packet_key(const IMB_MGR *manager, void *memory, const void *bytes) {
  struct zssp_mb_packet_key *key = (struct zssp_mb_packet_key *)memory;
  IMB_AES256_GCM_PRE(manager, bytes, &key->key);
}

/// Encrypts `size` bytes and writes a tag of 16. Input and output may be the same.
static inline void zssp_mb_seal(
    const IMB_MGR *manager, void *memory, void *output, const void *input, size_t size, const void *nonce,
    const void *additional, size_t additionalSize, void *tag) {
  struct zssp_mb_packet_key *key = (struct zssp_mb_packet_key *)memory;
  IMB_AES256_GCM_ENC(
      manager, &key->key, &key->state, output, input, size, nonce, additional, additionalSize, tag, 16);
}

/// Decrypts `size` bytes and writes the 16 bytes that the tag should be. Input and output may be the same.
static inline void zssp_mb_open(
    const IMB_MGR *manager, void *memory, void *output, const void *input, size_t size, const void *nonce,
    const void *additional, size_t additionalSize, void *tag) {
  struct zssp_mb_packet_key *key = (struct zssp_mb_packet_key *)memory;
  IMB_AES256_GCM_DEC(
      manager, &key->key, &key->state, output, input, size, nonce, additional, additionalSize, tag, 16);
}

static inline void zssp_mb_expand_header_key(const IMB_MGR *manager, void *memory, const void *bytes) {
  struct zssp_mb_header_key *key = (struct zssp_mb_header_key *)memory;
  IMB_AES_KEYEXP_256(manager, bytes, key->encryption, key->decryption);
}

// The library has single blocks only as jobs for a queue, which a thread must own and which takes much longer than the
// block. These are the processor's own instructions for AES on the library's expanded key.

__attribute__((target("aes"))) static inline void zssp_mb_encrypt_block(const void *memory, void *block) {
  const __m128i *keys = ((const struct zssp_mb_header_key *)memory)->encryption;
  __m128i state = _mm_xor_si128(_mm_loadu_si128((const __m128i *)block), keys[0]);
  for (int round = 1; round < 14; round++) state = _mm_aesenc_si128(state, keys[round]);
  _mm_storeu_si128((__m128i *)block, _mm_aesenclast_si128(state, keys[14]));
}

__attribute__((target("aes"))) static inline void zssp_mb_decrypt_block(const void *memory, void *block) {
  const __m128i *keys = ((const struct zssp_mb_header_key *)memory)->decryption;
  __m128i state = _mm_xor_si128(_mm_loadu_si128((const __m128i *)block), keys[0]);
  for (int round = 1; round < 14; round++) state = _mm_aesdec_si128(state, keys[round]);
  _mm_storeu_si128((__m128i *)block, _mm_aesdeclast_si128(state, keys[14]));
}

#endif
