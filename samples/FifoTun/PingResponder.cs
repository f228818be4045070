using KestrelNetpoll.Native;

namespace FifoTun;

/// <summary>Behind the device there is a network, and this program is all of it: it answers pings to any address.</summary>
internal sealed class PingResponder
{
    private const string Device = "netpoll0";
    private const int LargestPacket = 64 * 1024;

    private readonly NetpollFile _tun;

    private PingResponder(NetpollFile tun) => _tun = tun;

    internal static PingResponder Open()
    {
        NetworkNamespace.Enter();
        NetpollFile tun = NetpollFile.OpenTun(Device, tap: false);
        try
        {
            NetworkNamespace.Run("ip", "address", "add", "192.0.2.1/24", "dev", Device);
            NetworkNamespace.Run("ip", "link", "set", Device, "up");
            return new PingResponder(tun);
        }
        catch
        {
            tun.Dispose();
            throw;
        }
    }

    internal async Task AnswerAsync(CancellationToken end)
    {
        await using NetpollFile tun = _tun;
        Console.WriteLine($"Device {Device} is up, in a network namespace of its own. In another terminal:");
        Console.WriteLine($"  sudo nsenter --net --target {Environment.ProcessId} ping -c 3 192.0.2.2");
        byte[] packet = new byte[LargestPacket];
        while (true)
        {
            // One packet for each read, and for each write.
            int length = await tun.ReadAsync(packet, end);
            if (EchoRequest.TryAnswer(packet.AsSpan(0, length)) is { } said)
            {
                await tun.WriteAsync(packet.AsMemory(0, length), end);
                Console.WriteLine(said);
            }
        }
    }
}
