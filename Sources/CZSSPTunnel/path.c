// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "CZSSPTunnel.h"

#if defined(__linux__)

// From <linux/in.h> and <linux/in6.h>, which cannot be included together with the headers of the C
// library.
enum { ip_mtu = 14, ipv6_mtu = 24 };

int czssp_path_mtu(int family, const void *address, uint32_t scope) {
  const int descriptor = socket(family == 4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return -errno;
  int mtu = 0, result;
  socklen_t size = sizeof mtu;
  if (family == 4) {
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_port = htons(9)};
    memcpy(&name.sin_addr, address, sizeof name.sin_addr);
    result = connect(descriptor, (const struct sockaddr *)&name, sizeof name);
    if (result == 0) result = getsockopt(descriptor, IPPROTO_IP, ip_mtu, &mtu, &size);
  } else {
    struct sockaddr_in6 name = {.sin6_family = AF_INET6, .sin6_port = htons(9), .sin6_scope_id = scope};
    memcpy(&name.sin6_addr, address, sizeof name.sin6_addr);
    result = connect(descriptor, (const struct sockaddr *)&name, sizeof name);
    if (result == 0) result = getsockopt(descriptor, IPPROTO_IPV6, ipv6_mtu, &mtu, &size);
  }
  const int error = errno;
  close(descriptor);
  return result < 0 ? -error : mtu;
}

int czssp_socket_mark(int descriptor, uint32_t mark) {
  return setsockopt(descriptor, SOL_SOCKET, SO_MARK, &mark, sizeof mark) < 0 ? -errno : 0;
}

int czssp_socket_device(int descriptor, const char *name) {
  return setsockopt(descriptor, SOL_SOCKET, SO_BINDTODEVICE, name, (socklen_t)strlen(name)) < 0 ? -errno : 0;
}

#else

int czssp_socket_mark(int descriptor, uint32_t mark) { return -ENOSYS; }

int czssp_socket_device(int descriptor, const char *name) { return -ENOSYS; }

int czssp_path_mtu(int family, const void *address, uint32_t scope) { return -ENOSYS; }

#endif
