using System.Net;
using System.Net.Sockets;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Polling;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Native.Tests.Infrastructure;

namespace KestrelNetpoll.Native.Tests.Regressions;

/// <summary>
/// golang/go#30426: a tun device that was registered before it was attached to an interface reports one error and then nothing, for
/// good. Opened early it must fail, opened late it must work.
/// </summary>
public sealed class TunDeviceTests : IDisposable
{
    private const string Device = "/dev/net/tun";
    private static readonly IPAddress NearHost = IPAddress.Parse("10.71.1.1");
    private static readonly IPAddress NearPeer = IPAddress.Parse("10.71.1.99");
    private static readonly IPAddress FarHost = IPAddress.Parse("10.71.2.1");
    private static readonly IPAddress FarPeer = IPAddress.Parse("10.71.2.99");

    private readonly NetpollRuntime _runtime = WorkerThreads.CreateRuntime(2, out _);

    public void Dispose() => _runtime.Dispose();

    /// <summary>Also when the read is quicker than the event and gets the device's own errno.</summary>
    [Fact]
    public async Task A_read_from_a_device_without_an_interface_fails_and_does_not_hang()
    {
        RequireDevice();
        for (int round = 0; round < 100; round++)
        {
            using NetpollFile device = NetpollFile.Open(Device, FileAccess.ReadWrite, _runtime);
            Assert.True(device.IsPollable);
            await Assert.ThrowsAsync<NotPollableException>(() => device.ReadAsync(new byte[1]).InTime());
        }
    }

    [Theory]
    [InlineData(Device)]
    [InlineData("/dev/fuse")]
    public async Task A_read_after_the_error_event_fails_without_a_system_call(string path)
    {
        RequireDevice(path);
        ObservedKernel systemCalls = new();
        using NetpollRuntime runtime = WorkerThreads.CreateRuntime(1, out _, systemCalls);
        using NetpollFile device = NetpollFile.Open(path, FileAccess.ReadWrite, runtime);
        Patience.Until(() => device.Descriptor.Poll!.Info.Has(PollInfo.EventError), "the error event is dispatched");
        await Assert.ThrowsAsync<NotPollableException>(() => device.ReadAsync(new byte[1]).InTime());
        await Assert.ThrowsAsync<NotPollableException>(() => device.ReadAsync(new byte[1]).InTime());
        Assert.Equal(0, systemCalls.CountOf("ReadOnce"));
    }

    [Fact]
    public void The_kernel_names_and_answers_what_an_interface_is_opened_as()
    {
        RequireDevice();
        NetworkNamespace.Run(() =>
        {
            using NetpollFile named = NetpollFile.OpenTun("near0", tap: false, _runtime);
            Assert.Equal("near0", named.Name);
            using NetpollFile numbered = NetpollFile.OpenTun("far%d", tap: true, _runtime);
            Assert.Equal("far0", numbered.Name);
            IOException exception = Assert.ThrowsAny<IOException>(() => NetpollFile.OpenTun("near0", tap: true, _runtime));
            Assert.Contains("not a tap interface", exception.Message, StringComparison.Ordinal);
            exception = Assert.ThrowsAny<IOException>(() => NetpollFile.OpenTun("near0", tap: false, _runtime));
            Assert.Contains("in use", exception.Message, StringComparison.Ordinal);
        });
    }

    /// <summary>The kernel's own answer to a ping comes back through the device, with the reader parked each time.</summary>
    [Fact]
    public void An_interface_opened_late_answers_pings()
    {
        RequireDevice();
        NetworkNamespace.Run(() =>
        {
            using NetpollFile near = NetpollFile.OpenTun("near0", tap: false, _runtime);
            NetworkNamespace.Configure(near.Name, NearHost);
            for (ushort sequence = 1; sequence <= 100; sequence++)
            {
                Task<byte[]> reading = ReadPacketAsync(near, IPv4Packet.Icmp);
                Write(near, IPv4Packet.CreateEchoRequest(NearPeer, NearHost, sequence));
                byte[] reply = reading.InTime().GetAwaiter().GetResult();
                Assert.Equal(IPv4Packet.EchoReply, IPv4Packet.IcmpType(reply));
                Assert.Equal(sequence, IPv4Packet.IcmpSequence(reply));
                Assert.Equal(NearHost, IPv4Packet.Source(reply));
                Assert.Equal(NearPeer, IPv4Packet.Destination(reply));
            }
        });
    }

    /// <summary>A packet written into one device is routed by the kernel and read from the other, and back.</summary>
    [Fact]
    public void Two_devices_exchange_packets()
    {
        RequireDevice();
        NetworkNamespace.Run(() =>
        {
            using NetpollFile near = NetpollFile.OpenTun("near0", tap: false, _runtime);
            using NetpollFile far = NetpollFile.OpenTun("far0", tap: false, _runtime);
            NetworkNamespace.Configure(near.Name, NearHost);
            NetworkNamespace.Configure(far.Name, FarHost);
            AllowForwarding();

            for (int i = 0; i < 200; i++)
            {
                bool outward = i % 2 == 0;
                IPEndPoint source = new(outward ? NearPeer : FarPeer, 4000), destination = new(outward ? FarPeer : NearPeer, 5000);
                byte[] payload = [(byte)i, (byte)(i >> 8), 3];

                Task<byte[]> reading = ReadPacketAsync(outward ? far : near, IPv4Packet.Udp);
                Write(outward ? near : far, IPv4Packet.CreateUdp(source, destination, payload));
                byte[] packet = reading.InTime().GetAwaiter().GetResult();

                Assert.Equal(source.Address, IPv4Packet.Source(packet));
                Assert.Equal(destination.Address, IPv4Packet.Destination(packet));
                Assert.Equal(payload, IPv4Packet.UdpPayload(packet));
                Assert.Equal(63, IPv4Packet.TimeToLive(packet));
            }
        });
    }

    /// <summary>A socket on one network talks to a peer that lives in this test, behind the device of the other.</summary>
    [Fact]
    public void A_socket_talks_through_a_device()
    {
        RequireDevice();
        NetworkNamespace.Run(() =>
        {
            using NetpollFile near = NetpollFile.OpenTun("near0", tap: false, _runtime);
            using NetpollFile far = NetpollFile.OpenTun("far0", tap: false, _runtime);
            NetworkNamespace.Configure(near.Name, NearHost);
            NetworkNamespace.Configure(far.Name, FarHost);
            using Socket socket = new(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp) { ReceiveTimeout = 30_000 };
            socket.Bind(new IPEndPoint(NearHost, 0));
            IPEndPoint peer = new(FarPeer, 5000);

            socket.SendTo("question"u8.ToArray(), peer);
            byte[] question = ReadPacketAsync(far, IPv4Packet.Udp).InTime().GetAwaiter().GetResult();
            Assert.Equal(NearHost, IPv4Packet.Source(question));
            Assert.Equal("question"u8, IPv4Packet.UdpPayload(question));

            IPEndPoint asker = new(NearHost, IPv4Packet.UdpSourcePort(question));
            Write(far, IPv4Packet.CreateUdp(peer, asker, "answer"u8));
            byte[] buffer = new byte[64];
            EndPoint from = new IPEndPoint(IPAddress.Any, 0);
            int received = socket.ReceiveFrom(buffer, ref from);
            Assert.Equal("answer"u8, buffer.AsSpan(0, received));
            Assert.Equal(peer, from);
        });
    }

    [Fact]
    public void Disposing_a_device_ends_its_read_and_its_interface()
    {
        RequireDevice();
        NetworkNamespace.Run(() =>
        {
            NetpollFile near = NetpollFile.OpenTun("near0", tap: false, _runtime);
            Task<byte[]> reading = ReadPacketAsync(near, IPv4Packet.Udp);
            near.DisposeAsync().AsTask().InTime().GetAwaiter().GetResult();
            Assert.Throws<ObjectDisposedException>(() => reading.InTime().GetAwaiter().GetResult());

            using NetpollFile again = NetpollFile.OpenTun("near0", tap: false, _runtime);
            Assert.Equal("near0", again.Name);
        });
    }

    private static void RequireDevice(string path = Device)
    {
        SyscallResult opened = SystemCalls.Instance.Open(path, LibC.O_RDWR | LibC.O_NONBLOCK, 0);
        Assert.SkipUnless(opened.IsSuccess, $"{path} cannot be opened for reading and writing here: {opened.Errno}.");
        SystemCalls.Instance.Close(opened.Value);
    }

    private static void AllowForwarding()
    {
        try
        {
            // The file is the namespace's own, as long as this thread opens it.
            File.WriteAllText("/proc/sys/net/ipv4/ip_forward", "1");
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            Assert.Skip($"Forwarding cannot be switched on in the namespace: {exception.Message}");
        }
    }

    private static void Write(NetpollFile device, byte[] packet) =>
        Assert.Equal(packet.Length, device.WriteAsync(packet).AsTask().InTime().GetAwaiter().GetResult());

    private static async Task<byte[]> ReadPacketAsync(NetpollFile device, byte protocol)
    {
        byte[] buffer = new byte[2048];
        while (true)
        {
            int length = await device.ReadAsync(buffer);
            if (IPv4Packet.Is(buffer.AsSpan(0, length), protocol))
            {
                return buffer[..length];
            }
        }
    }
}
