// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "CZSSPTunnel.h"

#if defined(__linux__)

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>

/// The number of bursts of messages that are read at once.
enum { bursts_at_once = 64 };

int czssp_network_watch(void) {
  const int descriptor = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
  if (descriptor < 0) return -errno;
  const unsigned addresses = RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR, routes = RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE;
  const unsigned rules = RTMGRP_IPV4_RULE | 1u << (RTNLGRP_IPV6_RULE - 1);
  const struct sockaddr_nl name = {.nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK | addresses | routes | rules};
  if (bind(descriptor, (const struct sockaddr *)&name, sizeof name) < 0) {
    const int error = errno;
    close(descriptor);
    return -error;
  }
  return descriptor;
}

/// Returns true if a removed route led to a device, or to one host. Routes around the tunnel lead
/// to one host.
static bool is_of_tunnel(const struct nlmsghdr *message, int device) {
  const struct rtmsg *route = NLMSG_DATA(message);
  if (route->rtm_table == RT_TABLE_MAIN && route->rtm_dst_len == (route->rtm_family == AF_INET6 ? 128 : 32)) return true;
  int rest = (int)RTM_PAYLOAD(message);
  for (const struct rtattr *one = RTM_RTA(route); RTA_OK(one, rest); one = RTA_NEXT(one, rest)) {
    if (one->rta_type != RTA_OIF || RTA_PAYLOAD(one) < sizeof(int)) continue;
    int found;
    memcpy(&found, RTA_DATA(one), sizeof found);
    return found == device;
  }
  return false;
}

/// Returns true if a message says that something of a device was changed or removed.
static bool concerns(const struct nlmsghdr *message, int device) {
  switch (message->nlmsg_type) {
    case RTM_DELRULE: return true;
    case RTM_DELROUTE: return message->nlmsg_len >= NLMSG_LENGTH(sizeof(struct rtmsg)) && is_of_tunnel(message, device);
    case RTM_DELADDR:
      return message->nlmsg_len >= NLMSG_LENGTH(sizeof(struct ifaddrmsg)) &&
             (int)((const struct ifaddrmsg *)NLMSG_DATA(message))->ifa_index == device;
    // With a device that goes down the kernel removes routes, and does not say so.
    case RTM_NEWLINK:
      return message->nlmsg_len >= NLMSG_LENGTH(sizeof(struct ifinfomsg)) &&
             ((const struct ifinfomsg *)NLMSG_DATA(message))->ifi_index == device;
    default: return false;
  }
}

int czssp_network_changed(int descriptor, const char *name) {
  const int device = (int)if_nametoindex(name);
  bool changed = false;
  for (int burst = 0; burst < bursts_at_once; burst++) {
    union {
      struct nlmsghdr header;
      char bytes[16 << 10];
    } buffer;
    const ssize_t count = recv(descriptor, &buffer, sizeof buffer, 0);
    if (count < 0) {
      if (errno == EAGAIN) break;
      // Messages were lost.
      if (errno == ENOBUFS) changed = true;
      if (errno == ENOBUFS || errno == EINTR) continue;
      return -errno;
    }
    int rest = (int)count;
    for (const struct nlmsghdr *message = &buffer.header; NLMSG_OK(message, rest); message = NLMSG_NEXT(message, rest)) {
      if (concerns(message, device)) changed = true;
    }
  }
  return changed;
}

#else

int czssp_network_watch(void) { return -ENOSYS; }

int czssp_network_changed(int descriptor, const char *name) { return -ENOSYS; }

#endif
