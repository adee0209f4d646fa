// SPDX-License-Identifier: Apache-2.0
// The part of libcrypto, version 3.0 or newer, that ZSSPOpenSSL uses. It is declared here and
// loaded when the program runs, so a build needs no headers of OpenSSL, and a machine without
// libcrypto runs everything else. The interface of version 3 is a stable ABI of opaque pointers.
// `.ci/libcrypto-abi` compares these declarations with OpenSSL's own headers.
#pragma once
#include <stddef.h>

struct bignum_ctx;
struct bignum_st;
struct ec_group_st;
struct ec_point_st;
struct evp_cipher_ctx_st;
struct evp_cipher_st;
struct evp_kem_st;
struct evp_mac_ctx_st;
struct evp_mac_st;
struct evp_md_ctx_st;
struct evp_md_st;
struct evp_pkey_ctx_st;
struct evp_pkey_st;
struct ossl_lib_ctx_st;
struct ossl_provider_st;

#ifndef ZSSP_WITH_HEADERS_OF_OPENSSL
/// A parameter of an operation. Part of the ABI.
struct ossl_param_st {
  const char *key;
  unsigned int data_type;
  void *data;
  size_t data_size;
  size_t return_size;
};
/// The form of an encoded point: an enumeration in OpenSSL.
typedef unsigned int zssp_point_form;
#endif
typedef struct ossl_param_st zssp_parameter;

// Macros and enumerations of OpenSSL's headers, which are part of the ABI.
#define ZSSP_PUBLIC_KEY 0x86         // EVP_PKEY_PUBLIC_KEY
#define ZSSP_KEY_PAIR 0x87           // EVP_PKEY_KEYPAIR
#define ZSSP_GET_TAG 0x10            // EVP_CTRL_AEAD_GET_TAG
#define ZSSP_SET_TAG 0x11            // EVP_CTRL_AEAD_SET_TAG
#define ZSSP_VERSION_TEXT 6          // OPENSSL_VERSION_STRING
#define ZSSP_FOLDER_OF_MODULES 1003  // OPENSSL_INFO_MODULES_DIR
#define ZSSP_P384 715                // NID_secp384r1
#define ZSSP_COMPRESSED 2            // POINT_CONVERSION_COMPRESSED
#define ZSSP_CONSTANT_TIME 4         // BN_FLG_CONSTTIME

// V is for functions that return nothing.
#define ZSSP_LIBCRYPTO(F, V)                                                                                                      \
  F(unsigned long, OpenSSL_version_num, (void), ())                                                                               \
  F(const char *, OpenSSL_version, (int what), (what))                                                                            \
  F(const char *, OPENSSL_info, (int what), (what))                                                                               \
  V(CRYPTO_free, (void *memory, const char *file, int line), (memory, file, line))                                                \
  F(char *, CONF_get1_default_config_file, (void), ())                                                                            \
  F(int, ERR_set_mark, (void), ())                                                                                                \
  F(int, ERR_pop_to_mark, (void), ())                                                                                             \
  F(unsigned long, ERR_get_error, (void), ())                                                                                     \
  F(unsigned long, ERR_peek_error, (void), ())                                                                                    \
  F(unsigned long, ERR_peek_last_error, (void), ())                                                                               \
  V(ERR_clear_error, (void), ())                                                                                                  \
  V(ERR_error_string_n, (unsigned long code, char *text, size_t size), (code, text, size))                                        \
  F(struct ossl_lib_ctx_st *, OSSL_LIB_CTX_new, (void), ())                                                                       \
  F(int, OSSL_LIB_CTX_load_config, (struct ossl_lib_ctx_st * context, const char *file), (context, file))                         \
  F(struct ossl_provider_st *, OSSL_PROVIDER_load, (struct ossl_lib_ctx_st * context, const char *name), (context, name))         \
  F(int, OSSL_PROVIDER_available, (struct ossl_lib_ctx_st * context, const char *name), (context, name))                          \
  F(int, EVP_default_properties_enable_fips, (struct ossl_lib_ctx_st * context, int enable), (context, enable))                   \
  F(int, EVP_default_properties_is_fips_enabled, (struct ossl_lib_ctx_st * context), (context))                                   \
  F(int, RAND_priv_bytes_ex, (struct ossl_lib_ctx_st * context, unsigned char *bytes, size_t count, unsigned int strength),       \
    (context, bytes, count, strength))                                                                                            \
  F(zssp_parameter, OSSL_PARAM_construct_utf8_string, (const char *key, char *text, size_t size), (key, text, size))              \
  F(zssp_parameter, OSSL_PARAM_construct_octet_string, (const char *key, void *bytes, size_t size), (key, bytes, size))           \
  F(zssp_parameter, OSSL_PARAM_construct_BN, (const char *key, unsigned char *bytes, size_t size), (key, bytes, size))            \
  F(zssp_parameter, OSSL_PARAM_construct_end, (void), ())                                                                         \
  F(struct evp_cipher_st *, EVP_CIPHER_fetch, (struct ossl_lib_ctx_st * context, const char *name, const char *properties),       \
    (context, name, properties))                                                                                                  \
  F(struct evp_cipher_ctx_st *, EVP_CIPHER_CTX_new, (void), ())                                                                   \
  V(EVP_CIPHER_CTX_free, (struct evp_cipher_ctx_st * context), (context))                                                         \
  F(int, EVP_CIPHER_CTX_copy, (struct evp_cipher_ctx_st * to, const struct evp_cipher_ctx_st *from), (to, from))                  \
  F(int, EVP_CIPHER_CTX_ctrl, (struct evp_cipher_ctx_st * context, int what, int argument, void *bytes),                          \
    (context, what, argument, bytes))                                                                                             \
  F(int, EVP_CIPHER_CTX_set_padding, (struct evp_cipher_ctx_st * context, int padding), (context, padding))                       \
  F(int, EVP_CipherInit_ex2,                                                                                                      \
    (struct evp_cipher_ctx_st * context, const struct evp_cipher_st *cipher, const unsigned char *key, const unsigned char *iv,   \
     int encrypts, const zssp_parameter *parameters),                                                                             \
    (context, cipher, key, iv, encrypts, parameters))                                                                             \
  F(int, EVP_EncryptInit_ex2,                                                                                                     \
    (struct evp_cipher_ctx_st * context, const struct evp_cipher_st *cipher, const unsigned char *key, const unsigned char *iv,   \
     const zssp_parameter *parameters),                                                                                           \
    (context, cipher, key, iv, parameters))                                                                                       \
  F(int, EVP_CipherUpdate,                                                                                                        \
    (struct evp_cipher_ctx_st * context, unsigned char *output, int *written, const unsigned char *input, int size),              \
    (context, output, written, input, size))                                                                                      \
  F(int, EVP_EncryptUpdate,                                                                                                       \
    (struct evp_cipher_ctx_st * context, unsigned char *output, int *written, const unsigned char *input, int size),              \
    (context, output, written, input, size))                                                                                      \
  F(int, EVP_DecryptUpdate,                                                                                                       \
    (struct evp_cipher_ctx_st * context, unsigned char *output, int *written, const unsigned char *input, int size),              \
    (context, output, written, input, size))                                                                                      \
  F(int, EVP_EncryptFinal_ex, (struct evp_cipher_ctx_st * context, unsigned char *output, int *written),                          \
    (context, output, written))                                                                                                   \
  F(int, EVP_DecryptFinal_ex, (struct evp_cipher_ctx_st * context, unsigned char *output, int *written),                          \
    (context, output, written))                                                                                                   \
  F(struct evp_md_st *, EVP_MD_fetch, (struct ossl_lib_ctx_st * context, const char *name, const char *properties),               \
    (context, name, properties))                                                                                                  \
  F(struct evp_md_ctx_st *, EVP_MD_CTX_new, (void), ())                                                                           \
  V(EVP_MD_CTX_free, (struct evp_md_ctx_st * context), (context))                                                                 \
  F(int, EVP_DigestInit_ex2, (struct evp_md_ctx_st * context, const struct evp_md_st *digest, const zssp_parameter *parameters),  \
    (context, digest, parameters))                                                                                                \
  F(int, EVP_DigestUpdate, (struct evp_md_ctx_st * context, const void *bytes, size_t size), (context, bytes, size))              \
  F(int, EVP_DigestFinal_ex, (struct evp_md_ctx_st * context, unsigned char *output, unsigned int *size),                         \
    (context, output, size))                                                                                                      \
  F(int, EVP_DigestFinalXOF, (struct evp_md_ctx_st * context, unsigned char *output, size_t size), (context, output, size))       \
  F(struct evp_mac_st *, EVP_MAC_fetch, (struct ossl_lib_ctx_st * context, const char *name, const char *properties),             \
    (context, name, properties))                                                                                                  \
  V(EVP_MAC_free, (struct evp_mac_st * algorithm), (algorithm))                                                                   \
  F(struct evp_mac_ctx_st *, EVP_MAC_CTX_new, (struct evp_mac_st * algorithm), (algorithm))                                       \
  F(struct evp_mac_ctx_st *, EVP_MAC_CTX_dup, (const struct evp_mac_ctx_st *context), (context))                                  \
  V(EVP_MAC_CTX_free, (struct evp_mac_ctx_st * context), (context))                                                               \
  F(int, EVP_MAC_CTX_set_params, (struct evp_mac_ctx_st * context, const zssp_parameter *parameters), (context, parameters))      \
  F(int, EVP_MAC_init,                                                                                                            \
    (struct evp_mac_ctx_st * context, const unsigned char *key, size_t size, const zssp_parameter *parameters),                   \
    (context, key, size, parameters))                                                                                             \
  F(int, EVP_MAC_update, (struct evp_mac_ctx_st * context, const unsigned char *bytes, size_t size), (context, bytes, size))      \
  F(int, EVP_MAC_final, (struct evp_mac_ctx_st * context, unsigned char *output, size_t *size, size_t capacity),                  \
    (context, output, size, capacity))                                                                                            \
  F(struct evp_kem_st *, EVP_KEM_fetch, (struct ossl_lib_ctx_st * context, const char *name, const char *properties),             \
    (context, name, properties))                                                                                                  \
  V(EVP_KEM_free, (struct evp_kem_st * algorithm), (algorithm))                                                                   \
  V(EVP_PKEY_free, (struct evp_pkey_st * key), (key))                                                                             \
  F(int, EVP_PKEY_get_octet_string_param,                                                                                         \
    (const struct evp_pkey_st *key, const char *name, unsigned char *bytes, size_t capacity, size_t *size),                       \
    (key, name, bytes, capacity, size))                                                                                           \
  F(struct evp_pkey_ctx_st *, EVP_PKEY_CTX_new_from_name,                                                                         \
    (struct ossl_lib_ctx_st * context, const char *name, const char *properties), (context, name, properties))                    \
  F(struct evp_pkey_ctx_st *, EVP_PKEY_CTX_new_from_pkey,                                                                         \
    (struct ossl_lib_ctx_st * context, struct evp_pkey_st * key, const char *properties), (context, key, properties))             \
  V(EVP_PKEY_CTX_free, (struct evp_pkey_ctx_st * operation), (operation))                                                         \
  F(int, EVP_PKEY_CTX_set_group_name, (struct evp_pkey_ctx_st * operation, const char *name), (operation, name))                  \
  F(int, EVP_PKEY_keygen_init, (struct evp_pkey_ctx_st * operation), (operation))                                                 \
  F(int, EVP_PKEY_generate, (struct evp_pkey_ctx_st * operation, struct evp_pkey_st * *key), (operation, key))                    \
  F(int, EVP_PKEY_fromdata_init, (struct evp_pkey_ctx_st * operation), (operation))                                               \
  F(int, EVP_PKEY_fromdata,                                                                                                       \
    (struct evp_pkey_ctx_st * operation, struct evp_pkey_st * *key, int selection, zssp_parameter * parameters),                  \
    (operation, key, selection, parameters))                                                                                      \
  F(int, EVP_PKEY_public_check, (struct evp_pkey_ctx_st * operation), (operation))                                                \
  F(int, EVP_PKEY_pairwise_check, (struct evp_pkey_ctx_st * operation), (operation))                                              \
  F(int, EVP_PKEY_derive_init, (struct evp_pkey_ctx_st * operation), (operation))                                                 \
  F(int, EVP_PKEY_derive_set_peer_ex, (struct evp_pkey_ctx_st * operation, struct evp_pkey_st * peer, int validates),             \
    (operation, peer, validates))                                                                                                 \
  F(int, EVP_PKEY_derive, (struct evp_pkey_ctx_st * operation, unsigned char *secret, size_t *size), (operation, secret, size))   \
  F(int, EVP_PKEY_encapsulate_init, (struct evp_pkey_ctx_st * operation, const zssp_parameter *parameters),                       \
    (operation, parameters))                                                                                                      \
  F(int, EVP_PKEY_encapsulate,                                                                                                    \
    (struct evp_pkey_ctx_st * operation, unsigned char *ciphertext, size_t *ciphertext_size, unsigned char *secret,               \
     size_t *secret_size),                                                                                                        \
    (operation, ciphertext, ciphertext_size, secret, secret_size))                                                                \
  F(int, EVP_PKEY_decapsulate_init, (struct evp_pkey_ctx_st * operation, const zssp_parameter *parameters),                       \
    (operation, parameters))                                                                                                      \
  F(int, EVP_PKEY_decapsulate,                                                                                                    \
    (struct evp_pkey_ctx_st * operation, unsigned char *secret, size_t *secret_size, const unsigned char *ciphertext,             \
     size_t ciphertext_size),                                                                                                     \
    (operation, secret, secret_size, ciphertext, ciphertext_size))                                                                \
  F(struct ec_group_st *, EC_GROUP_new_by_curve_name_ex, (struct ossl_lib_ctx_st * context, const char *properties, int curve),   \
    (context, properties, curve))                                                                                                 \
  V(EC_GROUP_free, (struct ec_group_st * group), (group))                                                                         \
  F(const struct bignum_st *, EC_GROUP_get0_order, (const struct ec_group_st *group), (group))                                    \
  F(struct ec_point_st *, EC_POINT_new, (const struct ec_group_st *group), (group))                                               \
  V(EC_POINT_clear_free, (struct ec_point_st * point), (point))                                                                   \
  F(int, EC_POINT_mul,                                                                                                            \
    (const struct ec_group_st *group, struct ec_point_st *result, const struct bignum_st *generator_factor,                       \
     const struct ec_point_st *point, const struct bignum_st *factor, struct bignum_ctx *context),                                \
    (group, result, generator_factor, point, factor, context))                                                                    \
  F(size_t, EC_POINT_point2oct,                                                                                                   \
    (const struct ec_group_st *group, const struct ec_point_st *point, zssp_point_form form, unsigned char *bytes,                \
     size_t capacity, struct bignum_ctx *context),                                                                                \
    (group, point, form, bytes, capacity, context))                                                                               \
  F(struct bignum_st *, BN_bin2bn, (const unsigned char *bytes, int size, struct bignum_st *result), (bytes, size, result))       \
  F(int, BN_bn2binpad, (const struct bignum_st *number, unsigned char *bytes, int size), (number, bytes, size))                   \
  V(BN_set_flags, (struct bignum_st * number, int flags), (number, flags))                                                        \
  V(BN_clear_free, (struct bignum_st * number), (number))

/// The functions, loaded by `zssp_load_libcrypto`.
#define ZSSP_FIELD(result, name, parameters, arguments) result(*name) parameters;
#define ZSSP_FIELD_VOID(name, parameters, arguments) void(*name) parameters;
struct zssp_libcrypto {
  ZSSP_LIBCRYPTO(ZSSP_FIELD, ZSSP_FIELD_VOID)
};
#undef ZSSP_FIELD
#undef ZSSP_FIELD_VOID

/// Written once, by `zssp_load_libcrypto`.
extern struct zssp_libcrypto zssp_libcrypto;

/// Loads libcrypto 3 and its functions, once per process. Can be called on any thread. No function
/// below may be called before this one has returned NULL.
///
/// Returns NULL, or the reason why libcrypto cannot be used: a text that stays valid.
const char *zssp_load_libcrypto(void);

// The functions under their own names with a prefix, because another module of the program may
// include OpenSSL's headers.
#define ZSSP_CALL(result, name, parameters, arguments)                                                                            \
  static inline result zssp_##name parameters { return zssp_libcrypto.name arguments; }
#define ZSSP_CALL_VOID(name, parameters, arguments)                                                                               \
  static inline void zssp_##name parameters { zssp_libcrypto.name arguments; }
ZSSP_LIBCRYPTO(ZSSP_CALL, ZSSP_CALL_VOID)
#undef ZSSP_CALL
#undef ZSSP_CALL_VOID
