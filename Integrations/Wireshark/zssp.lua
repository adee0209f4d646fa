-- SPDX-License-Identifier: Apache-2.0
-- Shows in Wireshark what can be seen of ZSSP without keys; README.md says how to install it and names the fields. Sections are those of
-- Documentation/specification.md. `zssp decode --keys FILE -w inner.pcapng` shows what is inside.

local zssp = Proto("zssp", "ZeroTier Secure Session Protocol")

local USUAL_PORT = 20763
local HEADER, SMALLEST, LARGEST_COUNT = 16, 32, 48
local HELLO, RESPONSE, REKEY, TAG, CHALLENGE = 1749, 1653, 85, 16, 36
-- What is remembered of a capture: incomplete and known Hellos.
local LARGEST_MEMORY = 4096
-- The largest number of datagrams that a kernel joins in a capture.
local LARGEST_SEGMENTS = 128

local types = {
  [0] = "X1 Hello", [1] = "X2 Response", [2] = "X3 Completion", [3] = "C1 KeyConfirm", [4] = "C2 Ack", [5] = "K1 RekeyInit",
  [6] = "K2 RekeyComplete", [7] = "D Rejected", [8] = "P Data", [9] = "Challenge",
}

local f = {
  key_id = ProtoField.uint32("zssp.key_id", "Key id of the recipient", base.HEX, nil, nil, "Section 5"),
  number = ProtoField.uint8("zssp.fragment.number", "Fragment number", base.DEC, nil, nil, "Section 5"),
  count = ProtoField.uint8("zssp.fragment.count", "Fragment count", base.DEC, nil, nil, "Section 5"),
  reserved = ProtoField.uint8("zssp.reserved", "Reserved", base.DEC, nil, nil, "Section 4"),
  type = ProtoField.uint8("zssp.type", "Type", base.DEC, types, nil, "Section 4"),
  counter = ProtoField.uint64("zssp.counter", "Counter", base.DEC, nil, nil, "Section 4"),
  block = ProtoField.bytes("zssp.protected_header", "Protected header", base.NONE, "Section 5"),
  payload = ProtoField.bytes("zssp.payload", "Payload", base.NONE, "Encrypted, or a fragment"),
  guess = ProtoField.string("zssp.guess", "May be", base.ASCII, "What the packet may be by its size and place"),
  initiator = ProtoField.uint32("zssp.initiator_key_id", "Key id of the initiator", base.HEX, nil, nil, "Section 6"),
  ephemeral = ProtoField.bytes("zssp.ephemeral_key", "Ephemeral key", base.NONE, "Section 6"),
  encapsulation = ProtoField.bytes("zssp.sealed_encapsulation_key", "Sealed encapsulation key", base.NONE, "Section 6"),
  fingerprints = ProtoField.bytes("zssp.sealed_fingerprints", "Sealed ratchet fingerprints", base.NONE, "Section 6"),
  challenge_counter = ProtoField.uint64("zssp.challenge.counter", "Challenge counter", base.DEC, nil, nil, "Section 8"),
  mac = ProtoField.bytes("zssp.challenge.mac", "Challenge mac", base.NONE, "Section 8"),
  proof = ProtoField.uint64("zssp.challenge.proof", "Proof of work", base.HEX, nil, nil, "Section 8"),
  answers = ProtoField.bool("zssp.answers_challenge", "Answers a challenge", base.NONE, nil, nil, "Section 8"),
  hello_frame = ProtoField.framenum("zssp.hello_frame", "Hello in frame", base.NONE, frametype.REQUEST),
  segments = ProtoField.uint16("zssp.joined", "Datagrams joined by the capture", base.DEC),
}
zssp.fields = f

local e = {
  short = ProtoExpert.new("zssp.expert.too_short", "Shorter than 32 bytes: every receiver drops it", expert.group.MALFORMED, expert.severity.WARN),
  header = ProtoExpert.new("zssp.expert.header", "Key id 0 and no header of ZSSP", expert.group.MALFORMED, expert.severity.WARN),
  cut = ProtoExpert.new("zssp.expert.cut", "The capture has only a part of the datagram", expert.group.UNDECODED, expert.severity.NOTE),
  repeated = ProtoExpert.new("zssp.expert.hello_repeated", "A Hello again: the one before was not answered in time", expert.group.SEQUENCE, expert.severity.NOTE),
  challenged = ProtoExpert.new("zssp.expert.challenge", "The responder asks for a proof of work", expert.group.RESPONSE_CODE, expert.severity.NOTE),
  again = ProtoExpert.new("zssp.expert.challenge_again", "A Hello that answers a challenge is challenged again", expert.group.SEQUENCE, expert.severity.WARN),
  elsewhere = ProtoExpert.new("zssp.expert.other_address", "The answer comes from another address than was asked", expert.group.SEQUENCE, expert.severity.WARN),
}
zssp.experts = e

zssp.prefs.port = Pref.uint("UDP port", USUAL_PORT, "All datagrams of this port are taken for those of ZSSP")
zssp.prefs.heuristic = Pref.bool("Recognize other ports", true, "Flows that begin with a Hello or a challenge are taken for those of ZSSP")

-- What earlier frames said. A frame is dissected more than once, so what is found at the first time is kept by its number.
local incomplete, incomplete_count, hellos, hello_count, known, flows, flow_count

local function forget()
  incomplete, incomplete_count, hellos, hello_count, known, flows, flow_count = {}, 0, {}, 0, {}, {}, 0
end
forget()
function zssp.init() forget() end

-- MARK: Sizes

-- The offset and the size of fragment `number` of `count` of a packet of `size` bytes (section 5).
local function range(size, number, count)
  local base, longer = math.floor(size / count), size % count
  return number * base + math.min(number, longer), base + (number < longer and 1 or 0)
end

local function header(tvb)
  if tvb:len() < HEADER then return nil end
  local h = { number = tvb(4, 1):uint(), count = tvb(5, 1):uint(), reserved = tvb(6, 1):uint(), type = tvb(7, 1):uint(), counter = tostring(tvb(8, 8):uint64()) }
  if h.number >= h.count or h.count > LARGEST_COUNT then return nil end
  return h
end

-- The size of the datagrams that the capture has joined; the length if it is one datagram. All begin with one key id.
local function segment_size(tvb)
  local length = tvb:len()
  if length < 2 * SMALLEST then return length end
  if tvb(0, 4):uint() == 0 then
    local h = header(tvb)
    if not h or h.type ~= 0 or h.count < 2 then return length end
    local _, size = range(HELLO, h.number, h.count)
    size = size + HEADER
    if size + SMALLEST > length then return length end
    local other = header(tvb(size):tvb())
    if other and other.counter == h.counter and other.number == h.number + 1 then return size end
    return length
  end
  local raw = tvb:raw(0, length)
  local key_id = raw:sub(1, 4)
  local size = math.max(SMALLEST, math.ceil(length / LARGEST_SEGMENTS))
  while true do
    local found = raw:find(key_id, size + 1, true)
    if not found or found - 1 > length - SMALLEST then return length end
    size = found - 1
    local fits, start = true, size
    while start < length do
      if length - start < SMALLEST or raw:sub(start + 1, start + 4) ~= key_id then
        fits = false
        break
      end
      start = start + size
    end
    if fits then return size end
    size = size + 1
  end
end

-- What a packet with a protected header may be.
local function guess(tvb, is_answer)
  local size = tvb:len() - HEADER
  if is_answer then
    for count = 1, 4 do
      local base = math.floor(RESPONSE / count)
      if size == base or size == base + 1 then return "X2 Response" end
    end
  end
  if size == TAG then return "C1, C2, D or empty data" end
  if size == REKEY then return "K1, K2 or data" end
  return nil
end

-- MARK: Packets

local function place(pinfo) return tostring(pinfo.src) .. " " .. pinfo.src_port .. " " .. tostring(pinfo.dst) .. " " .. pinfo.dst_port end
local function reverse(pinfo) return tostring(pinfo.dst) .. " " .. pinfo.dst_port .. " " .. tostring(pinfo.src) .. " " .. pinfo.src_port end

local function add_challenge(tree, tvb)
  tree:add(f.challenge_counter, tvb(0, 8))
  tree:add(f.mac, tvb(8, 16))
  tree:add(f.proof, tvb(24, 8))
end

-- Puts the fragments of a Hello together. Returns the bytes of a whole one.
local function join(tvb, pinfo, h, index)
  if h.count == 1 then return tvb(HEADER):bytes() end
  local found = known[pinfo.number .. "/" .. index]
  if found then return found.whole end
  local key = place(pinfo) .. " " .. h.counter .. " " .. h.reserved .. " " .. h.count
  local partial = incomplete[key]
  if not partial then
    if incomplete_count >= LARGEST_MEMORY then incomplete, incomplete_count = {}, 0 end
    partial = { received = 0 }
    incomplete[key] = partial
    incomplete_count = incomplete_count + 1
  end
  if not partial[h.number] then partial.received = partial.received + 1 end
  partial[h.number] = tvb(HEADER):bytes()
  local whole
  if partial.received == h.count then
    whole = ByteArray.new()
    for number = 0, h.count - 1 do whole:append(partial[number]) end
    incomplete[key] = nil
    incomplete_count = incomplete_count - 1
  end
  known[pinfo.number .. "/" .. index] = { whole = whole }
  return whole
end

-- Remembers a whole Hello, and says whether it is one that came before.
local function remember(pinfo, key_id, counter, answers, index)
  local name = "hello " .. pinfo.number .. "/" .. index
  if known[name] then return known[name].again end
  if hello_count >= LARGEST_MEMORY then hellos, hello_count = {}, 0 end
  local hello = hellos[key_id]
  local again = hello ~= nil and hello.counter == counter and hello.answers == answers
  if not hello then hello_count = hello_count + 1 end
  hellos[key_id] = { place = place(pinfo), frame = pinfo.number, counter = counter, answers = answers }
  known[name] = { again = again }
  return again
end

-- The Hello that a packet with this key id answers, as it was when the frame was seen first.
local function answered(pinfo, key_id, index)
  local name = "answer " .. pinfo.number .. "/" .. index
  if not known[name] then
    local hello = hellos[key_id]
    local source = hello and hello.place:match("^(%S+ %S+) ")
    local fits = source == tostring(pinfo.dst) .. " " .. pinfo.dst_port
    known[name] = { hello = fits and { frame = hello.frame, answers = hello.answers, elsewhere = hello.place ~= reverse(pinfo) } or nil }
  end
  return known[name].hello
end

local function add_answer(tree, hello)
  if not hello then return end
  tree:add(f.hello_frame, hello.frame):set_generated()
  if hello.elsewhere then tree:add_proto_expert_info(e.elsewhere) end
end

local function dissect_hello(tvb, pinfo, tree, h, index)
  tree:add(f.payload, tvb(HEADER))
  local whole = join(tvb, pinfo, h, index)
  if not whole or whole:len() ~= HELLO then return "" end
  local packet = whole:tvb("Hello")
  tree:add(f.initiator, packet(0, 4))
  tree:add(f.ephemeral, packet(4, 49))
  tree:add(f.encapsulation, packet(53, 1584))
  tree:add(f.fingerprints, packet(1637, 80))
  add_challenge(tree, packet(1717, 32):tvb())
  local answers = packet(1717, 24):bytes():tohex():find("[1-9A-F]") ~= nil
  tree:add(f.answers, answers):set_generated()
  local key_id = packet(0, 4):uint()
  if remember(pinfo, key_id, h.counter, answers, index) then tree:add_proto_expert_info(e.repeated) end
  return string.format(", key id of the initiator %08x%s", key_id, answers and ", answers a challenge" or "")
end

local function dissect_stranger(tvb, pinfo, tree, index)
  local h = header(tvb)
  if not h then
    tree:add_proto_expert_info(e.header)
    return "no header of ZSSP"
  end
  tree:add(f.number, tvb(4, 1))
  tree:add(f.count, tvb(5, 1))
  tree:add(f.reserved, tvb(6, 1))
  tree:add(f.type, tvb(7, 1))
  tree:add(f.counter, tvb(8, 8))
  local text = types[h.type] or ("type " .. h.type)
  if h.count > 1 then text = text .. " " .. (h.number + 1) .. "/" .. h.count end
  if h.type == 0 then return text .. dissect_hello(tvb, pinfo, tree, h, index) end
  if h.type == 9 and h.count == 1 and tvb:len() == HEADER + CHALLENGE then
    tree:add(f.initiator, tvb(HEADER, 4))
    add_challenge(tree, tvb(HEADER + 4):tvb())
    local hello = answered(pinfo, tvb(HEADER, 4):uint(), index)
    add_answer(tree, hello)
    tree:add_proto_expert_info(hello and hello.answers and e.again or e.challenged)
    return text .. string.format(", for key id %08x", tvb(HEADER, 4):uint())
  end
  tree:add_proto_expert_info(e.header)
  return text .. ", which has no such header"
end

local function dissect_one(tvb, pinfo, tree, index)
  local branch = tree:add(zssp, tvb())
  local text
  if tvb:len() < SMALLEST then
    branch:add_proto_expert_info(e.short)
    if tvb:len() >= 4 then branch:add(f.key_id, tvb(0, 4)) end
    text = "too short"
  else
    branch:add(f.key_id, tvb(0, 4))
    if tvb(0, 4):uint() == 0 then
      text = dissect_stranger(tvb, pinfo, branch, index)
    else
      text = string.format("key id %08x", tvb(0, 4):uint())
      branch:add(f.block, tvb(4, 16))
      branch:add(f.payload, tvb(20))
      local hello = answered(pinfo, tvb(0, 4):uint(), index)
      add_answer(branch, hello)
      local what = guess(tvb, hello ~= nil)
      if what then
        branch:add(f.guess, what):set_generated()
        text = text .. ", " .. what .. "?"
      end
    end
  end
  branch:append_text(", " .. text)
  return text
end

function zssp.dissector(tvb, pinfo, tree)
  if tvb:len() == 0 then return 0 end
  pinfo.cols.protocol = "ZSSP"
  -- A datagram that the capture has only in part is shown as far as it is there.
  if tvb:reported_len() > tvb:len() then
    local branch = tree:add(zssp, tvb())
    branch:add_proto_expert_info(e.cut)
    if tvb:len() >= 4 then branch:add(f.key_id, tvb(0, 4)) end
    pinfo.cols.info = "cut by the capture"
    return tvb:len()
  end
  local size = segment_size(tvb)
  local count = math.ceil(tvb:len() / size)
  local texts = {}
  for index = 1, count do
    local start = (index - 1) * size
    local text = dissect_one(tvb(start, math.min(size, tvb:len() - start)):tvb(), pinfo, tree, index)
    if index <= 3 then texts[index] = text end
  end
  local info = table.concat(texts, "; ")
  if count > 1 then
    tree:add(f.segments, count):set_generated()
    info = count .. " datagrams: " .. info .. (count > 3 and "; …" or "")
  end
  pinfo.cols.info = info
  return tvb:len()
end

-- MARK: Other ports

-- Whether a datagram is one of ZSSP by its content: a fragment of a Hello, which has the one size that fits its number, or a challenge.
local function looks_right(tvb)
  if tvb:len() < SMALLEST or tvb(0, 4):uint() ~= 0 then return false end
  local h = header(tvb)
  if not h or h.reserved ~= 0 then return false end
  if h.type == 9 then return h.count == 1 and tvb:len() == HEADER + CHALLENGE end
  if h.type ~= 0 then return false end
  local _, size = range(HELLO, h.number, h.count)
  return segment_size(tvb) == HEADER + size
end

local function heuristic(tvb, pinfo, tree)
  if not zssp.prefs.heuristic then return false end
  local here, back = place(pinfo), reverse(pinfo)
  if not (flows[here] or flows[back]) then
    if not looks_right(tvb) then return false end
    if flow_count >= LARGEST_MEMORY then flows, flow_count = {}, 0 end
    flows[here] = true
    flow_count = flow_count + 1
  end
  zssp.dissector(tvb, pinfo, tree)
  return true
end

local ports = DissectorTable.get("udp.port")
local port = USUAL_PORT
ports:add(port, zssp)
zssp:register_heuristic("udp", heuristic)

function zssp.prefs_changed()
  if port == zssp.prefs.port then return end
  if port ~= 0 then ports:remove(port, zssp) end
  port = zssp.prefs.port
  if port ~= 0 then ports:add(port, zssp) end
end
