// SPDX-License-Identifier: Apache-2.0
#ifndef CZSSP_ADDRESS_H
#define CZSSP_ADDRESS_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "CZSSPSocket.h"

union czssp_sockaddr {
  struct sockaddr any;
  struct sockaddr_in v4;
  struct sockaddr_in6 v6;
};

/// Writes an address in the system's form, and returns its size.
static inline socklen_t czssp_write_address(const czssp_address *address, union czssp_sockaddr *name) {
  memset(name, 0, sizeof *name);
  if (address->family == 4) {
    name->v4.sin_family = AF_INET;
    name->v4.sin_port = htons(address->port);
    name->v4.sin_addr.s_addr = htonl((uint32_t)address->low);
    return sizeof name->v4;
  }
  const uint64_t halves[2] = {__builtin_bswap64(address->high), __builtin_bswap64(address->low)};
  name->v6.sin6_family = AF_INET6;
  name->v6.sin6_port = htons(address->port);
  name->v6.sin6_scope_id = address->scope;
  _Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the halves are swapped");
  memcpy(&name->v6.sin6_addr, halves, sizeof halves);
  return sizeof name->v6;
}

/// Reads an address in the system's form. Family 0 means that it is not an IP address.
static inline void czssp_read_address(const union czssp_sockaddr *name, czssp_address *address) {
  memset(address, 0, sizeof *address);
  if (name->any.sa_family == AF_INET) {
    address->family = 4;
    address->low = ntohl(name->v4.sin_addr.s_addr);
    address->port = ntohs(name->v4.sin_port);
  } else if (name->any.sa_family == AF_INET6) {
    uint64_t halves[2];
    memcpy(halves, &name->v6.sin6_addr, sizeof halves);
    address->family = 6;
    address->high = __builtin_bswap64(halves[0]);
    address->low = __builtin_bswap64(halves[1]);
    address->scope = name->v6.sin6_scope_id;
    address->port = ntohs(name->v6.sin6_port);
  }
}

#endif
