namespace KestrelNetpoll.Native.Sockets;

/// <summary>Whose address it is: an IPv4 address, or the first 64 bits of an IPv6 address, or, on one's own link, all of one.</summary>
internal readonly record struct NetworkKey(ulong Bits, ulong MoreBits, bool IsIPv6);
