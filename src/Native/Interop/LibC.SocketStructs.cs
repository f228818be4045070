using System.Runtime.InteropServices;

namespace KestrelNetpoll.Native.Interop;

/// <summary>What all socket addresses begin with: the family decides which of the structs below the bytes are.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct sockaddr
{
    internal ushort sa_family;
    internal fixed byte sa_data[14];
}

/// <summary>An IPv4 address; port and address are in network byte order.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct sockaddr_in
{
    internal ushort sin_family;
    internal ushort sin_port;
    internal uint sin_addr;
    internal fixed byte sin_zero[8];
}

/// <summary>An IPv6 address; port and address are in network byte order, the scope is in the host's.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct sockaddr_in6
{
    internal ushort sin6_family;
    internal ushort sin6_port;
    internal uint sin6_flowinfo;
    internal fixed byte sin6_addr[16];
    internal uint sin6_scope_id;
}

/// <summary>A Unix domain address; how much of the path counts is in the length that travels beside the struct.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct sockaddr_un
{
    internal ushort sun_family;
    internal fixed byte sun_path[108];
}

/// <summary>Room for an address of any family.</summary>
[StructLayout(LayoutKind.Sequential, Size = 128)]
internal struct sockaddr_storage
{
    internal ushort ss_family;
}

/// <summary>The argument of sendmsg. The paddings that C leaves behind the 32-bit fields fall out of the field types.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct msghdr
{
    internal void* msg_name;
    internal uint msg_namelen;
    internal iovec* msg_iov;
    internal nuint msg_iovlen;
    internal void* msg_control;
    internal nuint msg_controllen;
    internal int msg_flags;
}

/// <summary>The value of SO_LINGER. On with zero seconds makes close send RST and drop what is unsent.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct linger
{
    internal int l_onoff;
    internal int l_linger;
}
