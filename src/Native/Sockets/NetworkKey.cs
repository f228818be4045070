namespace KestrelNetpoll.Native.Sockets;

/// <summary>Whose address it is: an IPv4 address, or the first 64 bits of an IPv6 address.</summary>
internal readonly record struct NetworkKey(ulong Bits, bool IsIPv6);
