// SPDX-License-Identifier: Apache-2.0
#ifndef CZSSP_TUNNEL_H
#define CZSSP_TUNNEL_H

// What a tunnel needs of the system and Swift cannot import. Functions answer a negative errno where they fail.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/// What a TUN device that was opened can do.
typedef struct {
  int descriptor;
  /// Whether super-packets of TCP may be read and written.
  bool segments_tcp;
  /// Whether super-packets of UDP may be, too (Linux 6.2).
  bool segments_udp;
  /// Whether /dev/net/tun could be opened.
  bool has_driver;
  /// Whether an administrator has prepared the device, which stays.
  bool is_prepared;
  /// The name that the system gave.
  char name[16];
} czssp_tun;

/// The size of the header in front of each packet: virtio_net_hdr on Linux, the address family on macOS.
enum { czssp_tun_header_size = 10, czssp_utun_header_size = 4 };

/// Makes a TUN device, non-blocking and closed on exec; without the right to make one, uses a device that stays and may be used. On macOS a name other than utunN is refused; nothing of macOS has been tested.
///
/// @param offload whether super-packets are wanted. They come only if the kernel has them.
/// @return 0; -EBUSY or -EEXIST if there is another device of this name, or the device is in use; -EACCES with `has_driver` if the
/// device is another user's.
int czssp_tun_open(const char *name, bool offload, czssp_tun *tun);

/// Reads a packet with its header; writes one. Answers the number of bytes.
ssize_t czssp_tun_read(int descriptor, void *bytes, size_t capacity);
ssize_t czssp_tun_write(int descriptor, const void *bytes, size_t count);

/// How many packets the system dropped because nobody read the device's queue in time; 0 if there is no such device.
uint64_t czssp_tun_dropped(const char *name);

/// The MTU of the way to an address of a family (4 or 6) in network byte order, as the system knows it now.
int czssp_path_mtu(int family, const void *address, uint32_t scope);

/// Marks what a socket sends (SO_MARK), and has it send and receive by one network device only (SO_BINDTODEVICE).
int czssp_socket_mark(int descriptor, uint32_t mark);
int czssp_socket_device(int descriptor, const char *name);

/// Gives up all privileges for those of a user and group, in all threads, for good.
int czssp_become(uint32_t user, uint32_t group);

/// Finds a user by name.
///
/// @return 0, -ENOENT if there is none.
int czssp_find_user(const char *name, uint32_t *user, uint32_t *group);

/// Finds a group by name.
///
/// @return 0, -ENOENT if there is none.
int czssp_find_group(const char *name, uint32_t *group);

/// Whether a user with a group may write to a file, or make files in a folder: 1 or 0; -EPERM if only root can tell.
int czssp_may_write(uint32_t user, uint32_t group, const char *path);

/// Makes a folder, or takes the one that is there if nobody else can have put anything into it: -ENOTDIR for what is no folder, or a link to
/// one; -EPERM for another user's who is not root, and for one that others may write to.
int czssp_own_folder(const char *path, unsigned mode);
/// Makes a file for its owner alone (0600) and locks it until the descriptor, which is answered, is closed. -EWOULDBLOCK if somebody has it.
int czssp_lock_file(const char *path);

/// Listens on a local socket, which is made for its owner alone (0600), or for a group as well (0660) if that is not negative. A socket that
/// lies there is replaced unless it is answered on, which is -EADDRINUSE.
int czssp_control_listen(const char *path, int64_t group);
/// Connects to such a socket.
int czssp_control_connect(const char *path);
/// Waits for a connection, on which reading and writing end after some seconds without progress.
int czssp_control_accept(int descriptor);

/// The descriptors that a child gets: standard input, output and errors, and one more.
enum { czssp_descriptor_count = 4 };

/// Starts a program with this process's environment, and with all signals as they are by default.
///
/// @param descriptors what the child's descriptors 0 to 3 are; a negative number stands for /dev/null, or for none in the last place.
/// @return the number of the process.
int czssp_spawn(const char *path, char *const arguments[], const int descriptors[czssp_descriptor_count]);
/// Waits until a child has ended, whatever it has left behind.
///
/// @return its exit code, or 128 and the number of the signal that ended it.
int czssp_wait(int child);
/// Makes a file in memory, empty, which no name leads to and no other program gets.
int czssp_memory_file(void);

#endif
