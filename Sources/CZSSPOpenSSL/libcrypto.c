// SPDX-License-Identifier: Apache-2.0
#include "CZSSPOpenSSL.h"

#if defined(__linux__) || defined(__APPLE__)
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>

struct zssp_libcrypto zssp_libcrypto;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static const char *failure;
static char text[512];

// The names contain the major version, because each major version has its own ABI.
static const char *const names[] = {
#ifdef __APPLE__
    "libcrypto.3.dylib",
    "/opt/homebrew/opt/openssl@3/lib/libcrypto.3.dylib",
    "/usr/local/opt/openssl@3/lib/libcrypto.3.dylib",
#else
    "libcrypto.so.3",
#endif
};

static void *open_library(void) {
  void *library = NULL;
  for (size_t index = 0; library == NULL && index < sizeof names / sizeof names[0]; index++)
    library = dlopen(names[index], RTLD_NOW | RTLD_LOCAL);
  return library;
}

static void load(void) {
  void *library = open_library();
  if (library == NULL) {
    const char *reason = dlerror();
    snprintf(text, sizeof text, "libcrypto of OpenSSL 3 cannot be loaded: %s", reason ? reason : "no reason is given");
    failure = text;
    return;
  }
  // POSIX guarantees that a pointer to a function fits into a pointer to data.
#define ZSSP_FIND(name)                                                                                                           \
  *(void **)&zssp_libcrypto.name = dlsym(library, #name);                                                                         \
  if (zssp_libcrypto.name == NULL) {                                                                                              \
    snprintf(text, sizeof text, "%s has no function " #name, names[0]);                                                           \
    failure = text;                                                                                                               \
    return;                                                                                                                       \
  }
#define ZSSP_FIND_FUNCTION(result, name, parameters, arguments) ZSSP_FIND(name)
#define ZSSP_FIND_VOID(name, parameters, arguments) ZSSP_FIND(name)
  ZSSP_LIBCRYPTO(ZSSP_FIND_FUNCTION, ZSSP_FIND_VOID)
  // Another version may have the names of version 3, but not its ABI.
  if (zssp_libcrypto.OpenSSL_version_num() >> 28 != 3) {
    snprintf(text, sizeof text, "%s is not of OpenSSL 3: its version is %lx", names[0], zssp_libcrypto.OpenSSL_version_num());
    failure = text;
  }
}

const char *zssp_load_libcrypto(void) {
  pthread_once(&once, load);
  return failure;
}
#else
struct zssp_libcrypto zssp_libcrypto;

const char *zssp_load_libcrypto(void) { return "libcrypto cannot be loaded on this system"; }
#endif
