// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "CZSSPTunnel.h"

#if defined(__linux__)

#include <ifaddrs.h>
#include <linux/capability.h>
#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <sys/syscall.h>

// Kernel headers before 6.2 do not have these.
#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

static int fail(int descriptor) {
  const int error = errno;
  close(descriptor);
  return -error;
}

static void offload(czssp_tun *tun) {
  const unsigned tcp = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
  tun->segments_udp = ioctl(tun->descriptor, TUNSETOFFLOAD, tcp | TUN_F_USO4 | TUN_F_USO6) == 0;
  tun->segments_tcp = tun->segments_udp || ioctl(tun->descriptor, TUNSETOFFLOAD, tcp) == 0;
  if (!tun->segments_tcp) ioctl(tun->descriptor, TUNSETOFFLOAD, 0);
}

/// Returns true if the process may make devices (CAP_NET_ADMIN), as far as it can tell.
static bool may_make_devices(void) {
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
  if (syscall(SYS_capget, &header, data) < 0) return false;
  return (data[CAP_TO_INDEX(CAP_NET_ADMIN)].effective & CAP_TO_MASK(CAP_NET_ADMIN)) != 0;
}

/// Makes the device of a request, or uses the one that an administrator has prepared for this user.
static int attach(czssp_tun *tun, struct ifreq *request) {
  if (ioctl(tun->descriptor, TUNSETIFF, request) == 0) return 0;
  // A process that may make devices does not take over a persistent one of another user.
  if (errno != EBUSY || may_make_devices()) return -errno;
  request->ifr_flags &= (short)~IFF_TUN_EXCL;
  // The kernel admits the user for whom the device was prepared, and refuses a device of another
  // kind.
  if (ioctl(tun->descriptor, TUNSETIFF, request) < 0) return errno == EINVAL ? -EEXIST : errno == EPERM ? -EACCES : -errno;
  tun->is_prepared = true;
  return 0;
}

int czssp_tun_open(const char *name, bool wants_offload, czssp_tun *tun) {
  struct ifreq request = {.ifr_flags = (short)(IFF_TUN | IFF_NO_PI | IFF_VNET_HDR | IFF_TUN_EXCL)};
  if (strlen(name) >= sizeof request.ifr_name) return -ENAMETOOLONG;
  strcpy(request.ifr_name, name);
  *tun = (czssp_tun){.descriptor = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC)};
  if (tun->descriptor < 0) return -errno;
  tun->has_driver = true;
  const int size = czssp_tun_header_size;
  const int error = attach(tun, &request);
  if (error < 0) {
    close(tun->descriptor);
    return error;
  }
  if (ioctl(tun->descriptor, TUNSETVNETHDRSZ, &size) < 0) return fail(tun->descriptor);
  if (wants_offload) offload(tun);
  memcpy(tun->name, request.ifr_name, sizeof tun->name);
  return 0;
}

uint64_t czssp_tun_dropped(const char *name) {
  struct ifaddrs *all;
  if (getifaddrs(&all) < 0) return 0;
  uint64_t dropped = 0;
  for (const struct ifaddrs *one = all; one; one = one->ifa_next) {
    // Only the entry of the link itself has counters.
    if (!one->ifa_addr || one->ifa_addr->sa_family != AF_PACKET || !one->ifa_data || strcmp(one->ifa_name, name) != 0) continue;
    dropped = ((const struct rtnl_link_stats *)one->ifa_data)->tx_dropped;
  }
  freeifaddrs(all);
  return dropped;
}

#elif defined(__APPLE__)

#include <net/if_utun.h>
#include <stdlib.h>
#include <sys/kern_control.h>
#include <sys/sys_domain.h>

static int fail(int descriptor) {
  const int error = errno;
  close(descriptor);
  return -error;
}

int czssp_tun_open(const char *name, bool offload, czssp_tun *tun) {
  (void)offload;
  if (strncmp(name, "utun", 4) != 0) return -EINVAL;
  *tun = (czssp_tun){.descriptor = socket(PF_SYSTEM, SOCK_DGRAM, SYSPROTO_CONTROL)};
  if (tun->descriptor < 0) return -errno;
  struct ctl_info info = {0};
  strcpy(info.ctl_name, UTUN_CONTROL_NAME);
  if (ioctl(tun->descriptor, CTLIOCGINFO, &info) < 0) return fail(tun->descriptor);
  // Unit 0 means any; utunN is unit N + 1.
  const struct sockaddr_ctl address = {
      .sc_len = sizeof address,
      .sc_family = AF_SYSTEM,
      .ss_sysaddr = AF_SYS_CONTROL,
      .sc_id = info.ctl_id,
      .sc_unit = name[4] ? (unsigned)atoi(name + 4) + 1 : 0,
  };
  if (connect(tun->descriptor, (const struct sockaddr *)&address, sizeof address) < 0) return fail(tun->descriptor);
  socklen_t size = sizeof tun->name;
  if (getsockopt(tun->descriptor, SYSPROTO_CONTROL, UTUN_OPT_IFNAME, tun->name, &size) < 0) return fail(tun->descriptor);
  fcntl(tun->descriptor, F_SETFD, FD_CLOEXEC);
  fcntl(tun->descriptor, F_SETFL, O_NONBLOCK);
  return 0;
}

#else

int czssp_tun_open(const char *name, bool offload, czssp_tun *tun) { return -ENOSYS; }

#endif

#if !defined(__linux__)

uint64_t czssp_tun_dropped(const char *name) { return 0; }

#endif

ssize_t czssp_tun_read(int descriptor, void *bytes, size_t capacity) {
  ssize_t count;
  do {
    count = read(descriptor, bytes, capacity);
  } while (count < 0 && errno == EINTR);
  return count < 0 ? -errno : count;
}

ssize_t czssp_tun_write(int descriptor, const void *bytes, size_t size) {
  ssize_t count;
  do {
    count = write(descriptor, bytes, size);
  } while (count < 0 && errno == EINTR);
  return count < 0 ? -errno : count;
}
