// SPDX-License-Identifier: Apache-2.0
#if defined(__linux__)

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include <linux/errqueue.h>

#include "CZSSPSocket.h"
#include "address.h"

int czssp_probe_enable(int socket) {
  int family = 0;
  socklen_t size = sizeof family;
  if (getsockopt(socket, SOL_SOCKET, SO_DOMAIN, &family, &size) < 0) return -errno;
  const int on = 1;
  const int level = family == AF_INET6 ? IPPROTO_IPV6 : IPPROTO_IP;
  if (setsockopt(socket, level, family == AF_INET6 ? IPV6_RECVERR : IP_RECVERR, &on, sizeof on) < 0) return -errno;
  return czssp_udp_forbid_fragments(socket, true);
}

int czssp_probe_path_mtu(int socket) {
  int family = 0, mtu = 0;
  socklen_t size = sizeof family;
  if (getsockopt(socket, SOL_SOCKET, SO_DOMAIN, &family, &size) < 0) return -errno;
  size = sizeof mtu;
  const int level = family == AF_INET6 ? IPPROTO_IPV6 : IPPROTO_IP;
  if (getsockopt(socket, level, family == AF_INET6 ? IPV6_MTU : IP_MTU, &mtu, &size) < 0) return -errno;
  return mtu;
}

int czssp_probe_report(int socket, czssp_report *report) {
  char bytes[64];
  char control[512];
  struct iovec piece = {.iov_base = bytes, .iov_len = sizeof bytes};
  struct msghdr message = {
      .msg_iov = &piece, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  const ssize_t count = recvmsg(socket, &message, MSG_ERRQUEUE | MSG_DONTWAIT);
  if (count < 0) return errno == EAGAIN ? 0 : -errno;
  memset(report, 0, sizeof *report);
  for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
    const bool is_v4 = header->cmsg_level == IPPROTO_IP && header->cmsg_type == IP_RECVERR;
    const bool is_v6 = header->cmsg_level == IPPROTO_IPV6 && header->cmsg_type == IPV6_RECVERR;
    if ((!is_v4 && !is_v6) || header->cmsg_len < CMSG_LEN(sizeof(struct sock_extended_err))) continue;
    struct sock_extended_err error;
    memcpy(&error, CMSG_DATA(header), sizeof error);
    report->error = (int)error.ee_errno;
    report->origin = error.ee_origin;
    report->type = error.ee_type;
    report->code = error.ee_code;
    report->mtu = error.ee_errno == EMSGSIZE ? error.ee_info : 0;
    // The address of the router or host that sent the report follows, if it is known.
    union czssp_sockaddr offender;
    memset(&offender, 0, sizeof offender);
    const size_t rest = header->cmsg_len - CMSG_LEN(sizeof error);
    memcpy(&offender, CMSG_DATA(header) + sizeof error, rest < sizeof offender ? rest : sizeof offender);
    czssp_read_address(&offender, &report->offender);
  }
  return 1;
}

int czssp_interface_of(const czssp_address *address, char *name, int size) {
  struct ifaddrs *list = NULL;
  if (getifaddrs(&list) < 0) return -errno;
  int found = 0;
  for (struct ifaddrs *entry = list; entry && !found; entry = entry->ifa_next) {
    if (!entry->ifa_addr) continue;
    union czssp_sockaddr own;
    memset(&own, 0, sizeof own);
    const int family = entry->ifa_addr->sa_family;
    if (family != AF_INET && family != AF_INET6) continue;
    memcpy(&own, entry->ifa_addr, family == AF_INET ? sizeof own.v4 : sizeof own.v6);
    czssp_address known;
    czssp_read_address(&own, &known);
    if (known.family != address->family || known.low != address->low || known.high != address->high) continue;
    strncpy(name, entry->ifa_name, (size_t)size - 1);
    name[size - 1] = 0;
    found = 1;
  }
  freeifaddrs(list);
  return found;
}

#endif
