using System.Net;
using System.Security.Cryptography;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Native.Sockets;
using KestrelNetpoll.Native.Tests.Infrastructure;

namespace KestrelNetpoll.Native.Tests.Sockets;

/// <summary>Bytes go in on one side and come out on the other, unchanged, whatever the kernel does in between.</summary>
public sealed class SocketEchoTests
{
    private const int Size = 10 * 1024 * 1024;

    [Theory]
    [InlineData(false, 1)]
    [InlineData(false, 4)]
    [InlineData(true, 1)]
    [InlineData(true, 4)]
    public async Task Ten_megabytes_both_ways(bool ipv6, int workers)
    {
        ObservedKernel systemCalls = new();
        using (NetpollRuntime runtime = WorkerThreads.CreateRuntime(workers, out _, systemCalls))
        {
            await EchoAsync(runtime, ipv6 ? SocketPairs.AnyPortV6 : SocketPairs.AnyPortV4, Size);
            Assert.Equal(0, runtime.GetStatistics().OpenDescriptors);
        }

        Assert.Empty(systemCalls.OpenDescriptors);
        Assert.Empty(systemCalls.Violations);
    }

    /// <summary>Signals, spurious EAGAIN and short transfers everywhere; every one of them is legal.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(4)]
    public async Task Half_a_megabyte_both_ways_on_a_bad_day(int workers)
    {
        FaultyKernel systemCalls = new(SeededRandom.NewSeed())
        {
            Interruptions = 0.2,
            SpuriousWouldBlocks = 0.2,
            ShortTransfers = 0.3,
        };
        using (NetpollRuntime runtime = WorkerThreads.CreateRuntime(workers, out _, systemCalls))
        {
            await EchoAsync(runtime, SocketPairs.AnyPortV4, 512 * 1024, chunk: 4096);
        }

        Assert.True(systemCalls.Injected > 100, $"{systemCalls.Injected} faults injected");
        Assert.Empty(systemCalls.OpenDescriptors);
        Assert.Empty(systemCalls.Violations);
    }

    [Fact]
    public async Task Gathered_sends_arrive_in_order_and_scattered_receives_fill_in_order()
    {
        using NetpollRuntime runtime = WorkerThreads.CreateRuntime(1, out _);
        (StreamSocket client, StreamSocket server) = await SocketPairs.ConnectAsync(runtime);
        byte[] first = [1, 2, 3], second = [4, 5], left = new byte[2], right = new byte[8];

        Assert.Equal(5, Gather(client, first, second).Value);
        SyscallResult received;
        while ((received = Scatter(server, left, right)).WouldBlock)
        {
            await server.WaitReadableAsync().InTime();
        }

        Assert.Equal(5, received.Value);
        Assert.Equal([1, 2], left);
        Assert.Equal([3, 4, 5, 0, 0, 0, 0, 0], right);

        client.Close();
        server.Close();
        Assert.Equal(Errno.EBADF, Gather(client, first, second).Errno);
        Assert.Equal(Errno.EBADF, Scatter(server, left, right).Errno);
    }

    [Fact]
    public async Task Many_small_round_trips()
    {
        using NetpollRuntime runtime = WorkerThreads.CreateRuntime(2, out _);
        (StreamSocket client, StreamSocket server) = await SocketPairs.ConnectAsync(runtime);
        Task echo = ServeAsync(server);
        byte[] request = new byte[512], answer = new byte[512];
        for (int i = 0; i < 2000; i++)
        {
            request[0] = (byte)i;
            await client.SendAllAsync(request);
            for (int got = 0; got < answer.Length;)
            {
                got += await client.ReceiveAsync(answer.AsMemory(got));
            }

            Assert.Equal(request[0], answer[0]);
        }

        client.Close();
        await echo.InTime();
    }

    private static async Task EchoAsync(NetpollRuntime runtime, IPEndPoint endPoint, int size, int chunk = 64 * 1024)
    {
        (StreamSocket client, StreamSocket server) = await SocketPairs.ConnectAsync(runtime, endPoint);
        byte[] data = new byte[size];
        Random.Shared.NextBytes(data);

        Task echo = ServeAsync(server, chunk);
        Task sending = Task.Run(async () =>
        {
            await client.SendAllAsync(data);
            client.ShutdownSend();
        });
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        byte[] buffer = new byte[chunk];
        int total = 0, received;
        while ((received = await client.ReceiveAsync(buffer)) != 0)
        {
            hash.AppendData(buffer, 0, received);
            total += received;
        }

        await Task.WhenAll(sending, echo).InTime();
        Assert.Equal(size, total);
        Assert.Equal(SHA256.HashData(data), hash.GetHashAndReset());
        await client.CloseAsync();
    }

    private static async Task ServeAsync(StreamSocket socket, int chunk = 64 * 1024)
    {
        byte[] buffer = new byte[chunk];
        int received;
        while ((received = await socket.ReceiveAsync(buffer)) != 0)
        {
            await socket.SendAllAsync(buffer.AsMemory(0, received));
        }

        await socket.CloseAsync();
    }

    private static SyscallResult Gather(StreamSocket socket, byte[] first, byte[] second) =>
        socket.Send([first.AsMemory(), second.AsMemory()]);

    private static SyscallResult Scatter(StreamSocket socket, byte[] first, byte[] second) =>
        socket.Receive([first.AsMemory(), second.AsMemory()]);
}
