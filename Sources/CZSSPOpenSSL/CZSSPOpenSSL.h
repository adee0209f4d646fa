// SPDX-License-Identifier: Apache-2.0
// What ZSSPOpenSSL uses of libcrypto, version 3.0 or newer. Nothing of it is deprecated.
#pragma once
#include <openssl/bn.h>
#include <openssl/conf.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/provider.h>
#include <openssl/rand.h>

// Constants for macros that Swift does not import.
static const int zssp_public_key = EVP_PKEY_PUBLIC_KEY;
static const int zssp_key_pair = EVP_PKEY_KEYPAIR;
