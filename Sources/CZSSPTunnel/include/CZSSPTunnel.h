// SPDX-License-Identifier: Apache-2.0
#ifndef CZSSP_TUNNEL_H
#define CZSSP_TUNNEL_H

// System functions that a tunnel needs and Swift cannot import. The functions return a negative
// errno on failure.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/// An open TUN device and its abilities.
typedef struct {
  int descriptor;
  /// True if TCP super-packets may be read and written.
  bool segments_tcp;
  /// True if UDP super-packets may be read and written, too (Linux 6.2).
  bool segments_udp;
  /// True if /dev/net/tun could be opened.
  bool has_driver;
  /// True if an administrator has prepared the device, which then stays.
  bool is_prepared;
  /// The name that the system gave.
  char name[16];
} czssp_tun;

/// The size of the header in front of each packet: virtio_net_hdr on Linux, the address family on
/// macOS.
enum { czssp_tun_header_size = 10, czssp_utun_header_size = 4 };

/// Makes a TUN device, non-blocking and closed on exec. A process that may not make one uses the
/// persistent device of this name that was prepared for its user. On macOS, names other than utunN
/// are refused; macOS is not tested.
///
/// @param offload true to request super-packets, which the kernel may not support.
/// @return 0; -EBUSY or -EEXIST if another device has this name, or the device is in use; -EACCES
/// with `has_driver` if the device belongs to another user.
int czssp_tun_open(const char *name, bool offload, czssp_tun *tun);

/// Reads or writes a packet with its header. Returns the number of bytes.
ssize_t czssp_tun_read(int descriptor, void *bytes, size_t capacity);
ssize_t czssp_tun_write(int descriptor, const void *bytes, size_t count);

/// Returns the number of packets that the system dropped because the device's queue was full; 0 if
/// no such device exists.
uint64_t czssp_tun_dropped(const char *name);

/// Returns the path MTU to an address of a family (4 or 6) in network byte order, as far as the
/// system knows it.
int czssp_path_mtu(int family, const void *address, uint32_t scope);

/// Marks the datagrams of a socket (SO_MARK), and restricts it to one network device
/// (SO_BINDTODEVICE).
int czssp_socket_mark(int descriptor, uint32_t mark);
int czssp_socket_device(int descriptor, const char *name);

/// Opens a non-blocking socket that becomes readable when the system's devices, addresses, routes or
/// rules change.
int czssp_network_watch(void);

/// Reads what such a socket has, and returns 1 if a rule, a route to one host, or something of the
/// named device may have been removed; otherwise 0.
int czssp_network_changed(int descriptor, const char *name);

/// Drops all privileges permanently, in all threads, and continues as a user and group.
int czssp_become(uint32_t user, uint32_t group);

/// Finds a user by name.
///
/// @return 0; -ENOENT if no such user exists.
int czssp_find_user(const char *name, uint32_t *user, uint32_t *group);

/// Finds a group by name.
///
/// @return 0; -ENOENT if no such group exists.
int czssp_find_group(const char *name, uint32_t *group);

/// Returns 1 if a user with a group may write to a file, or create files in a folder; otherwise 0.
/// Returns -EPERM if only root can check it.
int czssp_may_write(uint32_t user, uint32_t group, const char *path);

/// Creates a folder, or accepts an existing one if no other user can have changed it. Returns
/// -ENOTDIR if the path is not a folder or is a link to one. Returns -EPERM if the folder belongs
/// neither to root nor to this user, or if others may write to it.
int czssp_own_folder(const char *path, unsigned mode);
/// Creates a file for its owner only (0600) and locks it until the returned descriptor is closed.
/// Returns -EWOULDBLOCK if another process has locked it.
int czssp_lock_file(const char *path);

/// Listens on a local socket, which only its owner can use (0600), and also a group (0660) if
/// `group` is not negative. A socket at the path is replaced, unless a process answers on it: then
/// it returns -EADDRINUSE.
int czssp_control_listen(const char *path, int64_t group);
/// Connects to such a socket.
int czssp_control_connect(const char *path);
/// Waits for a connection. Reading and writing on it fail after some seconds without progress.
int czssp_control_accept(int descriptor);

/// The number of descriptors that a child gets: standard input, output and error, and one more.
enum { czssp_descriptor_count = 4 };

/// Starts a program with this process's environment, and with the default handling of all signals.
///
/// @param descriptors the child's descriptors 0 to 3. A negative number means /dev/null; in the
/// last place, no descriptor.
/// @return the process id.
int czssp_spawn(const char *path, char *const arguments[], const int descriptors[czssp_descriptor_count]);
/// Waits until a child has ended. Processes that it started may still run.
///
/// @return its exit code, or 128 plus the number of the signal that ended it.
int czssp_wait(int child);
/// Creates an empty file in memory without a name, which no other program inherits.
int czssp_memory_file(void);

#endif
