// SPDX-License-Identifier: Apache-2.0
#if defined(__linux__)

#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <sys/socket.h>

#include "CZSSPSocket.h"

enum {
  network = SKF_NET_OFF,
  // The offsets of source addresses and ports, for an IPv4 header without options and an IPv6
  // header without extensions.
  v4_address = network + 12,
  v4_port = network + 20,
  v6_address = network + 20,
  v6_port = network + 40,
};

int czssp_udp_steer(int socket, uint32_t shards) {
  // The program sees the datagram without its UDP header, and the headers at negative offsets. A
  // datagram shorter than four bytes ends it with socket 0.
  struct sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 2, 0),
      // The low bits of a key id choose the socket.
      BPF_STMT(BPF_ALU | BPF_AND | BPF_K, shards - 1),
      BPF_STMT(BPF_RET | BPF_A, 0),
      // The source of a Hello chooses the socket.
      BPF_STMT(BPF_LD | BPF_B | BPF_ABS, (uint32_t)network),
      BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, 4),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 4, 0, 4),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)v4_address),
      BPF_STMT(BPF_MISC | BPF_TAX, 0),
      BPF_STMT(BPF_LD | BPF_H | BPF_ABS, (uint32_t)v4_port),
      BPF_JUMP(BPF_JMP | BPF_JA, 3, 0, 0),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)v6_address),
      BPF_STMT(BPF_MISC | BPF_TAX, 0),
      BPF_STMT(BPF_LD | BPF_H | BPF_ABS, (uint32_t)v6_port),
      BPF_STMT(BPF_ALU | BPF_XOR | BPF_X, 0),
      // This distributes neighbouring ports and addresses among the sockets.
      BPF_STMT(BPF_ALU | BPF_MUL | BPF_K, 0x9E3779B1),
      BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, 16),
      BPF_STMT(BPF_ALU | BPF_AND | BPF_K, shards - 1),
      BPF_STMT(BPF_ALU | BPF_ADD | BPF_K, shards),
      BPF_STMT(BPF_RET | BPF_A, 0),
  };
  const struct sock_fprog all = {.len = sizeof program / sizeof *program, .filter = program};
  return setsockopt(socket, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &all, sizeof all) < 0 ? -errno : 0;
}

#endif
