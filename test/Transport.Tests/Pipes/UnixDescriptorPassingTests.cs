using System.Buffers;
using System.IO.Pipelines;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Transport.Tests.Infrastructure;

namespace KestrelNetpoll.Transport.Tests.Pipes;

/// <summary>A client on a Unix socket that passes descriptors. Nobody takes them, but a receive stops behind the bytes they came with.</summary>
[OneMode]
public sealed class UnixDescriptorPassingTests
{
    [Fact]
    public async Task What_lies_behind_bytes_with_descriptors_is_received()
    {
        // Without a monitor: the only worker is to be busy until everything has come, so that there is one event for all.
        using NetpollRuntime runtime = new(new NetpollRuntimeOptions { WorkerCount = 1, HandsOff = false, Name = "test" });
        await using SocketPipe pipe = new(runtime: runtime, fromUnixClient: true);
        StringBuilder received = new();
        Task reading = pipe.RunOnWorker(async () =>
        {
            while (received.Length < "one, two".Length)
            {
                ReadResult result = await pipe.Reader.ReadAsync();
                received.Append(Encoding.ASCII.GetString(result.Buffer.ToArray()));
                pipe.Reader.AdvanceTo(result.Buffer.End);
            }
        });
        await pipe.ParkedAsync();
        await pipe.RunOnWorker(() =>
        {
            SendWithDescriptor(pipe.Peer, "one, ");
            pipe.Send("two"u8);
            return Task.CompletedTask;
        }).InTime();

        await reading.InTime();
        Assert.Equal("one, two", received.ToString());
    }

    private static unsafe void SendWithDescriptor(Socket socket, string text)
    {
        byte[] bytes = Encoding.ASCII.GetBytes(text);
        ControlMessage control = new()
        {
            Length = (nuint)(Marshal.OffsetOf<ControlMessage>(nameof(ControlMessage.Descriptor)) + sizeof(int)),
            Level = LibC.SOL_SOCKET,
            Type = ControlMessage.ScmRights,
            Descriptor = (int)socket.Handle,
        };
        fixed (byte* pointer = bytes)
        {
            iovec vector = new() { iov_base = pointer, iov_len = (nuint)bytes.Length };
            msghdr message = new()
            {
                msg_iov = &vector,
                msg_iovlen = 1,
                msg_control = &control,
                msg_controllen = (nuint)sizeof(ControlMessage),
            };
            Assert.Equal(bytes.Length, LibC.sendmsg((int)socket.Handle, &message, 0));
        }
    }

    // struct cmsghdr, and what follows it.
    [StructLayout(LayoutKind.Sequential)]
    private struct ControlMessage
    {
        internal const int ScmRights = 1;

        internal nuint Length;
        internal int Level;
        internal int Type;
        internal int Descriptor;
    }
}
