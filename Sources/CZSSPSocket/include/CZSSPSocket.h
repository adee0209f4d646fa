// SPDX-License-Identifier: Apache-2.0
#ifndef CZSSP_SOCKET_H
#define CZSSP_SOCKET_H

// Linux functions for many datagrams at once that Swift cannot import: vectored sends and receives,
// UDP segmentation and receive offload, and the distribution of datagrams among sockets of one
// port. The functions return a negative errno on failure. On other systems this header is empty.

#if defined(__linux__)

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// An IP address and a port in host byte order. An IPv4 address (`family` 4) is in the lower 32
/// bits of `low`.
typedef struct {
  uint64_t high;
  uint64_t low;
  uint32_t scope;
  uint16_t port;
  uint8_t family;
} czssp_address;

/// One of this host's own addresses, which datagrams arrive at and leave from. An IPv4 address
/// (`family` 4) is in the lower 32 bits of `low`. `interface` is that of a link-local address,
/// otherwise 0. `family` 0 means no address.
typedef struct {
  uint64_t high;
  uint64_t low;
  uint32_t interface;
  uint8_t family;
} czssp_local;

/// Datagrams of one size for one address: at most 64, and 65,507 bytes together. The last may be
/// shorter.
typedef struct {
  czssp_address address;
  const void *bytes;
  /// The address to send from; NULL for the system's choice.
  const czssp_local *local;
  uint32_t length;
  /// The size of each datagram in bytes; 0 if there is one.
  uint16_t segment_size;
  /// The type of service or traffic class: DSCP and ECN.
  uint8_t traffic_class;
} czssp_outgoing;

/// A received piece: a datagram, or several that the kernel has joined.
typedef struct {
  czssp_address source;
  /// The address at which it arrived; none unless czssp_udp_report_local was called.
  czssp_local local;
  uint32_t length;
  /// The size of each datagram in bytes; 0 if there is one.
  uint16_t segment_size;
  /// The type of service or traffic class; 0 unless czssp_udp_report_traffic_class was called.
  uint8_t traffic_class;
} czssp_incoming;

/// Opens a non-blocking UDP socket that is closed on exec, and binds it. An IPv6 socket that is
/// bound to :: also reaches IPv4.
///
/// @param join true to join the sockets of the same port for which czssp_udp_share was called. With
/// false the port must be free.
/// @param bound receives the address that the socket is bound to.
/// @return the file descriptor.
int czssp_udp_open(const czssp_address *address, bool join, czssp_address *bound);

/// Lets other sockets of the same user join this one's port (SO_REUSEPORT).
int czssp_udp_share(int socket);

void czssp_close(int socket);

/// Requests buffers of these sizes in bytes; 0 leaves one unchanged. Without CAP_NET_ADMIN the
/// kernel may give less.
void czssp_udp_set_buffers(int socket, int receive, int send);

/// Returns the number of datagrams that the kernel dropped because the socket's buffer was full;
/// joined datagrams count as one. Returns 0 if the kernel does not report it.
uint32_t czssp_udp_drops(int socket);

/// Makes the kernel join datagrams of one sender (UDP GRO).
int czssp_udp_enable_receive_offload(int socket);

/// Makes the kernel report the address at which each datagram arrived (IP_PKTINFO,
/// IPV6_RECVPKTINFO).
int czssp_udp_report_local(int socket);

/// Makes the kernel report the type of service or traffic class of each datagram.
int czssp_udp_report_traffic_class(int socket);

/// Sends all datagrams with "don't fragment", whatever ICMP messages say about their path, or all
/// without.
int czssp_udp_forbid_fragments(int socket, bool forbidden);

/// A report about a datagram that was sent: of ICMP, or of this host.
typedef struct {
  /// The router or host that sent the report; family 0 if unknown.
  czssp_address offender;
  /// An errno.
  int error;
  /// The size of packets that the path takes, for EMSGSIZE; otherwise 0.
  uint32_t mtu;
  /// 1 this host, 2 ICMP, 3 ICMPv6 (SO_EE_ORIGIN_…).
  uint8_t origin;
  /// Of ICMP.
  uint8_t type;
  uint8_t code;
} czssp_report;

/// Makes the kernel keep reports about the datagrams of a connected socket, and send them with
/// "don't fragment".
int czssp_probe_enable(int socket);

/// Takes the next report. Does not wait.
///
/// @return 1 if there was one, 0 if there was none.
int czssp_probe_report(int socket, czssp_report *report);

/// Returns the size of the largest packet that the route of a connected socket takes, as far as
/// the kernel knows.
int czssp_probe_path_mtu(int socket);

/// Writes the name of the network device that has a local address.
///
/// @return 1 if one has it, 0 if none.
int czssp_interface_of(const czssp_address *address, char *name, int size);

/// Returns true if the kernel can cut datagrams out of one piece (UDP GSO).
bool czssp_udp_can_segment(int socket);

/// Makes the kernel choose among twice `shards` sockets of this socket's port, in the order in
/// which they were bound. The low bits of a datagram's first four bytes, a key id, choose a socket
/// of the first half. If all four bytes are zero, as in a Hello, its source chooses a socket of the
/// second half. `shards` is a power of two.
int czssp_udp_steer(int socket, uint32_t shards);

/// Sends pieces until one is refused.
///
/// @param sent receives the number of sent pieces.
/// @return 0, or the error of the first piece that was not sent.
int czssp_udp_send(int socket, const czssp_outgoing *pieces, int count, int *sent);

/// Buffers for receiving.
typedef struct czssp_receiver czssp_receiver;

/// Creates buffers for `count` pieces, of 64 KiB each, the largest size of a UDP piece. Returns
/// NULL without memory.
czssp_receiver *czssp_receiver_create(int count);
void czssp_receiver_destroy(czssp_receiver *receiver);

/// Receives pieces until there are no more or the buffers are full. Does not wait.
///
/// @return the number of pieces; -EAGAIN if there are none.
int czssp_receiver_fill(czssp_receiver *receiver, int socket);

/// Return the description of a piece and its bytes. Both are valid until the buffers are filled
/// again.
const czssp_incoming *czssp_receiver_piece(const czssp_receiver *receiver, int index);
void *czssp_receiver_bytes(const czssp_receiver *receiver, int index);

/// Waits for events on descriptors (epoll).
typedef struct czssp_poller czssp_poller;

/// The operations that are possible on a descriptor now.
typedef struct {
  uint64_t tag;
  bool can_read;
  bool can_write;
} czssp_readiness;

/// Creates a poller. Returns NULL without memory or descriptors.
czssp_poller *czssp_poller_create(void);

void czssp_poller_destroy(czssp_poller *poller);

/// Watches a descriptor for reading, under a tag other than 0.
int czssp_poller_add(czssp_poller *poller, int descriptor, uint64_t tag);

/// Changes the events that a descriptor is watched for.
int czssp_poller_change(czssp_poller *poller, int descriptor, uint64_t tag, bool reading, bool writing);
int czssp_poller_remove(czssp_poller *poller, int descriptor);

/// Makes czssp_poller_wait return, now or when it is called next. May be called on any thread.
void czssp_poller_wake(czssp_poller *poller);

/// Waits until a descriptor is ready, czssp_poller_wake is called, or the time is over; -1 waits
/// without limit. The kernel adds its timer slack to the time.
///
/// @return the number of ready descriptors, possibly 0.
int czssp_poller_wait(czssp_poller *poller, czssp_readiness *ready, int capacity, int64_t nanoseconds);

/// Restricts the calling thread to `count` processors from `first` on, for measurements.
int czssp_pin_thread(int first, int count);

/// Raises the nice value of the calling thread: 0 is the default, 19 the lowest priority. A lower
/// value than the present one has no effect. Without privileges this cannot be undone.
int czssp_nice_thread(int value);

/// Makes the calling thread run as soon as it wakes up, for threads that run only briefly. Its
/// share of the processor stays the same. Also sets the thread's name, of at most 15 characters.
int czssp_prompt_thread(const char *name);

#endif
#endif
