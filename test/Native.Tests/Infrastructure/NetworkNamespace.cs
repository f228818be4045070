using System.Net;
using System.Net.Sockets;
using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;
using System.Text;
using KestrelNetpoll.Native.Interop;

namespace KestrelNetpoll.Native.Tests.Infrastructure;

/// <summary>
/// A network namespace for one thread: interfaces, addresses and routes of the test's own, which go away with the thread and its
/// sockets. Everything that opens a socket or a tun device must run on that thread.
/// </summary>
internal static unsafe class NetworkNamespace
{
    private const int AddressOffset = LibC.IFNAMSIZ;

    /// <summary>Runs the body in a namespace, or skips the test and says why it cannot.</summary>
    internal static void Run(Action body)
    {
        Errno refused = Errno.Success;
        ExceptionDispatchInfo? failure = null;
        Thread thread = new(() =>
        {
            if (TestLibC.unshare(TestLibC.CLONE_NEWNET) != 0)
            {
                refused = (Errno)Marshal.GetLastPInvokeError();
                return;
            }

            try
            {
                body();
            }
            catch (Exception exception)
            {
                failure = ExceptionDispatchInfo.Capture(exception);
            }
        })
        { Name = "own network", IsBackground = true };
        thread.Start();
        Assert.True(thread.Join(Patience.Limit * 2), "The test in its own network did not end.");
        Assert.SkipUnless(refused == Errno.Success, $"A network namespace needs CAP_SYS_ADMIN: unshare says {refused}.");
        failure?.Throw();
    }

    /// <summary>Gives an interface an address with a 24-bit network and brings it up.</summary>
    internal static void Configure(string name, IPAddress address)
    {
        using Socket socket = new(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        Request(socket, TestLibC.SIOCSIFADDR, name, SocketAddressOf(address));
        Request(socket, TestLibC.SIOCSIFNETMASK, name, SocketAddressOf(IPAddress.Parse("255.255.255.0")));
        byte[] answer = Request(socket, TestLibC.SIOCGIFFLAGS, name, []);
        short flags = BitConverter.ToInt16(answer, AddressOffset);
        Request(socket, TestLibC.SIOCSIFFLAGS, name, BitConverter.GetBytes((short)(flags | TestLibC.IFF_UP)));
    }

    // An ifreq: the name, then a union that begins with what the request is about.
    private static byte[] Request(Socket socket, uint request, string name, ReadOnlySpan<byte> value)
    {
        byte[] ifreq = new byte[40];
        Encoding.ASCII.GetBytes(name, ifreq);
        value.CopyTo(ifreq.AsSpan(AddressOffset));
        fixed (byte* pointer = ifreq)
        {
            int result = TestLibC.ioctl((int)socket.Handle, request, pointer);
            Assert.True(result == 0, $"ioctl {request:x} on {name}: {(Errno)Marshal.GetLastPInvokeError()}");
        }

        return ifreq;
    }

    private static ReadOnlySpan<byte> SocketAddressOf(IPAddress address) =>
        new IPEndPoint(address, 0).Serialize().Buffer.Span[..16];
}
