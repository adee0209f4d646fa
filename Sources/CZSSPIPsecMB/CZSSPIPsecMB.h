// SPDX-License-Identifier: Apache-2.0
// The part of libIPSec_MB that ZSSPIPsecMB uses. Most of that library's interface is macros over
// function pointers, which Swift does not import.
#pragma once
#if defined(__linux__) && defined(__x86_64__)

// The library's header aligns its structures only for its own build.
#ifndef LINUX
#define LINUX
#endif
#include <intel-ipsec-mb.h>
#include <emmintrin.h>
#include <stdbool.h>
#include <string.h>
#include <wmmintrin.h>

// Keys lie in memory that is aligned for the widest registers. Swift cannot import types of such
// alignment, so it sees only their sizes and addresses.

/// An expanded key for AES-256-GCM. The state of a packet that is being processed lies on the
/// stack, which saves memory per key and cache lines to fetch.
struct zssp_mb_packet_key {
  struct gcm_key_data key;
};

/// An expanded key for single blocks, for both directions.
struct zssp_mb_header_key {
  __m128i encryption[15];
  __m128i decryption[15];
};

/// A packet that is sealed or opened in pieces.
struct zssp_mb_packet_stream {
  struct gcm_context_data state;
};

static const size_t zssp_mb_packet_stream_size = sizeof(struct zssp_mb_packet_stream);
static const size_t zssp_mb_packet_key_size = sizeof(struct zssp_mb_packet_key);
static const size_t zssp_mb_header_key_size = sizeof(struct zssp_mb_header_key);

/// Returns true if the library tested itself at initialization (since version 1.3) and the test
/// failed.
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

/// Writes a nonce of two big-endian integers.
static inline void zssp_mb_write_nonce(uint8_t nonce[12], uint32_t high, uint64_t counter) {
  high = __builtin_bswap32(high);
  counter = __builtin_bswap64(counter);
  memcpy(nonce, &high, sizeof high);
  memcpy(nonce + 4, &counter, sizeof counter);
}

/// Wipes the state of a packet. The barrier keeps the compiler from removing the write.
static inline void zssp_mb_wipe_state(struct gcm_context_data *state) {
  memset(state, 0, sizeof *state);
  __asm__ __volatile__("" : : "r"(state) : "memory");
}

/// Encrypts `size` bytes and writes a tag of 16 bytes. Input and output may be the same.
static inline void zssp_mb_seal(
    const IMB_MGR *manager, void *memory, void *output, const void *input, size_t size, uint32_t high, uint64_t counter,
    const void *additional, size_t additionalSize, void *tag) {
  struct zssp_mb_packet_key *key = (struct zssp_mb_packet_key *)memory;
  uint8_t nonce[12];
  zssp_mb_write_nonce(nonce, high, counter);
  struct gcm_context_data state;
  IMB_AES256_GCM_ENC(manager, &key->key, &state, output, input, size, nonce, additional, additionalSize, tag, 16);
  zssp_mb_wipe_state(&state);
}

/// Decrypts `size` bytes and writes the 16 bytes of the right tag, for comparison. Input and output
/// may be the same.
static inline void zssp_mb_open(
    const IMB_MGR *manager, void *memory, void *output, const void *input, size_t size, uint32_t high, uint64_t counter,
    const void *additional, size_t additionalSize, void *tag) {
  struct zssp_mb_packet_key *key = (struct zssp_mb_packet_key *)memory;
  uint8_t nonce[12];
  zssp_mb_write_nonce(nonce, high, counter);
  struct gcm_context_data state;
  IMB_AES256_GCM_DEC(manager, &key->key, &state, output, input, size, nonce, additional, additionalSize, tag, 16);
  zssp_mb_wipe_state(&state);
}

// The following functions do the same in pieces. They only read the key, so a packet in pieces and
// others in one piece can be processed in turns.

static inline void zssp_mb_begin(const IMB_MGR *manager, const void *memory, void *stream, uint32_t high, uint64_t counter) {
  const struct zssp_mb_packet_key *key = (const struct zssp_mb_packet_key *)memory;
  uint8_t nonce[12];
  zssp_mb_write_nonce(nonce, high, counter);
  IMB_AES256_GCM_INIT(manager, &key->key, &((struct zssp_mb_packet_stream *)stream)->state, nonce, NULL, 0);
}

/// Encrypts the next `size` bytes. Input and output may be the same.
static inline void zssp_mb_seal_piece(
    const IMB_MGR *manager, const void *memory, void *stream, void *output, const void *input, size_t size) {
  const struct zssp_mb_packet_key *key = (const struct zssp_mb_packet_key *)memory;
  IMB_AES256_GCM_ENC_UPDATE(
      manager, &key->key, &((struct zssp_mb_packet_stream *)stream)->state, output, input, size);
}

/// Decrypts the next `size` bytes. Input and output may be the same.
static inline void zssp_mb_open_piece(
    const IMB_MGR *manager, const void *memory, void *stream, void *output, const void *input, size_t size) {
  const struct zssp_mb_packet_key *key = (const struct zssp_mb_packet_key *)memory;
  IMB_AES256_GCM_DEC_UPDATE(
      manager, &key->key, &((struct zssp_mb_packet_stream *)stream)->state, output, input, size);
}

/// Writes the 16 bytes of the tag of the encrypted bytes, or the right tag of the decrypted bytes.
static inline void zssp_mb_end(const IMB_MGR *manager, const void *memory, void *stream, void *tag) {
  const struct zssp_mb_packet_key *key = (const struct zssp_mb_packet_key *)memory;
  IMB_AES256_GCM_ENC_FINALIZE(manager, &key->key, &((struct zssp_mb_packet_stream *)stream)->state, tag, 16);
}

/// Prefetches the parts of a key that a short packet needs: the rounds of the cipher, and the
/// powers for the tag of a few blocks, which lie at the end.
static inline void zssp_mb_prefetch_packet_key(const void *memory) {
  const char *key = (const char *)memory;
  for (size_t line = 0; line < 256; line += 64) __builtin_prefetch(key + line);
  for (size_t line = 64; line <= 128; line += 64) __builtin_prefetch(key + sizeof(struct gcm_key_data) - line);
}

/// Prefetches the parts of a key that encryption needs.
static inline void zssp_mb_prefetch_header_key(const void *memory) {
  const char *key = (const char *)((const struct zssp_mb_header_key *)memory)->encryption;
  for (size_t line = 0; line < 256; line += 64) __builtin_prefetch(key + line);
}

static inline void zssp_mb_expand_header_key(const IMB_MGR *manager, void *memory, const void *bytes) {
  struct zssp_mb_header_key *key = (struct zssp_mb_header_key *)memory;
  IMB_AES_KEYEXP_256(manager, bytes, key->encryption, key->decryption);
}

// The library offers single blocks only as jobs for a queue, which a thread must own and which
// takes much longer than the block. These functions use the processor's AES instructions with the
// library's expanded key.

#define ZSSP_MB_AES __attribute__((target("aes"))) static inline

ZSSP_MB_AES void zssp_mb_encrypt_block(const void *memory, void *block) {
  const __m128i *keys = ((const struct zssp_mb_header_key *)memory)->encryption;
  __m128i state = _mm_xor_si128(_mm_loadu_si128((const __m128i *)block), keys[0]);
  for (int round = 1; round < 14; round++) state = _mm_aesenc_si128(state, keys[round]);
  _mm_storeu_si128((__m128i *)block, _mm_aesenclast_si128(state, keys[14]));
}

ZSSP_MB_AES void zssp_mb_decrypt_block(const void *memory, void *block) {
  const __m128i *keys = ((const struct zssp_mb_header_key *)memory)->decryption;
  __m128i state = _mm_xor_si128(_mm_loadu_si128((const __m128i *)block), keys[0]);
  for (int round = 1; round < 14; round++) state = _mm_aesdec_si128(state, keys[round]);
  _mm_storeu_si128((__m128i *)block, _mm_aesdeclast_si128(state, keys[14]));
}

// A round of one block takes several cycles, but a round of another block can begin in each cycle:
// eight blocks at once take little longer than one. They are written out, because the compiler does
// not unroll loops over them when Swift imports the function.
#define ZSSP_MB_LANES(do) do(a, 0) do(b, 1) do(c, 2) do(d, 3) do(e, 4) do(f, 5) do(g, 6) do(h, 7)

/// Encrypts `count` blocks in place: the first at `bytes`, each other `stride` bytes after the one
/// before.
ZSSP_MB_AES void zssp_mb_encrypt_blocks(const void *memory, void *bytes, size_t stride, size_t count) {
  const __m128i *keys = ((const struct zssp_mb_header_key *)memory)->encryption;
  unsigned char *block = (unsigned char *)bytes;
  for (; count >= 8; count -= 8, block += 8 * stride) {
    __m128i a, b, c, d, e, f, g, h;
#define ZSSP_MB_LOAD(lane, index) \
  lane = _mm_xor_si128(_mm_loadu_si128((const __m128i *)(block + index * stride)), keys[0]);
    ZSSP_MB_LANES(ZSSP_MB_LOAD)
    for (int round = 1; round < 14; round++) {
      const __m128i key = keys[round];
#define ZSSP_MB_ROUND(lane, index) lane = _mm_aesenc_si128(lane, key);
      ZSSP_MB_LANES(ZSSP_MB_ROUND)
    }
#define ZSSP_MB_STORE(lane, index) \
  _mm_storeu_si128((__m128i *)(block + index * stride), _mm_aesenclast_si128(lane, keys[14]));
    ZSSP_MB_LANES(ZSSP_MB_STORE)
#undef ZSSP_MB_LOAD
#undef ZSSP_MB_ROUND
#undef ZSSP_MB_STORE
  }
  for (; count > 0; count--, block += stride) zssp_mb_encrypt_block(memory, block);
}

/// Decrypts `count` blocks in place: the first at `bytes`, each other `stride` bytes after the one
/// before.
ZSSP_MB_AES void zssp_mb_decrypt_blocks(const void *memory, void *bytes, size_t stride, size_t count) {
  const __m128i *keys = ((const struct zssp_mb_header_key *)memory)->decryption;
  unsigned char *block = (unsigned char *)bytes;
  for (; count >= 8; count -= 8, block += 8 * stride) {
    __m128i a, b, c, d, e, f, g, h;
#define ZSSP_MB_LOAD(lane, index) \
  lane = _mm_xor_si128(_mm_loadu_si128((const __m128i *)(block + index * stride)), keys[0]);
    ZSSP_MB_LANES(ZSSP_MB_LOAD)
    for (int round = 1; round < 14; round++) {
      const __m128i key = keys[round];
#define ZSSP_MB_ROUND(lane, index) lane = _mm_aesdec_si128(lane, key);
      ZSSP_MB_LANES(ZSSP_MB_ROUND)
    }
#define ZSSP_MB_STORE(lane, index) \
  _mm_storeu_si128((__m128i *)(block + index * stride), _mm_aesdeclast_si128(lane, keys[14]));
    ZSSP_MB_LANES(ZSSP_MB_STORE)
#undef ZSSP_MB_LOAD
#undef ZSSP_MB_ROUND
#undef ZSSP_MB_STORE
  }
  for (; count > 0; count--, block += stride) zssp_mb_decrypt_block(memory, block);
}

#undef ZSSP_MB_LANES
#undef ZSSP_MB_AES

#endif
