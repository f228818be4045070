using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Native.Tests.Infrastructure;
using KestrelNetpoll.Native.Tests.Interop;

namespace KestrelNetpoll.Native.Tests.Regressions;

/// <summary>
/// golang/go#59545, on the real kernel: one thread opens and closes a device that reports nothing but an error, another makes
/// FIFOs and reads from them. They share slots; no read may ever fail.
/// </summary>
public sealed class GoIssue59545_NonPollableRace
{
    private const int Rounds = 10_000;

    [Theory]
    [InlineData("/dev/net/tun", 1, false)]
    [InlineData("/dev/net/tun", 2, false)]
    [InlineData("/dev/net/tun", 1, true)]
    [InlineData("/dev/fuse", 1, false)]
    [InlineData("/dev/fuse", 1, true)]
    public async Task Reads_from_FIFOs_do_not_fail_beside_a_device_in_error(string device, int workers, bool slowDispatch)
    {
        if (SystemCalls.Instance.Open(device, LibC.O_RDWR | LibC.O_NONBLOCK, 0) is var opened && opened.IsError)
        {
            Assert.Skip($"{device} cannot be opened for reading and writing here: {opened.Errno}.");
        }

        SystemCalls.Instance.Close(opened.Value);
        SlowDispatch systemCalls = new() { Enabled = slowDispatch };
        using (NetpollRuntime runtime = WorkerThreads.CreateRuntime(workers, out _, systemCalls))
        {
            bool stop = false;
            int devicesOpened = 0;
            Thread opener = new(() =>
            {
                while (devicesOpened < Rounds && !Volatile.Read(ref stop))
                {
                    NetpollFile.Open(device, FileAccess.ReadWrite, runtime).Dispose();
                    devicesOpened++;
                }
            })
            { Name = "device opener" };
            opener.Start();
            try
            {
                await ReadFromFifosAsync(runtime);
            }
            catch
            {
                Volatile.Write(ref stop, true);
                throw;
            }
            finally
            {
                opener.JoinInTime();
            }

            Assert.Equal(Rounds, devicesOpened);
            TestContext.Current.TestOutputHelper?.WriteLine($"{runtime.GetStatistics()}");
            Assert.Equal(0, runtime.GetStatistics().OpenDescriptors);
        }

        Assert.Empty(systemCalls.OpenDescriptors);
        Assert.Empty(systemCalls.Violations);
    }

    private static async Task ReadFromFifosAsync(NetpollRuntime runtime)
    {
        using TemporaryDirectory directory = new();
        byte[] written = "7 bytes"u8.ToArray();
        byte[] buffer = new byte[16];
        for (int i = 0; i < Rounds; i++)
        {
            string path = directory.PathOf($"fifo{i}");
            NetpollFile.CreateFifo(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
            using (NetpollFile reader = NetpollFile.Open(path, FileAccess.Read, runtime))
            using (NetpollFile writer = NetpollFile.Open(path, FileAccess.Write, runtime))
            {
                Assert.Equal(written.Length, await writer.WriteAsync(written).InTime());
                int read = await reader.ReadAsync(buffer).InTime();
                Assert.Equal(written, buffer[..read]);
            }

            File.Delete(path);
        }
    }

    /// <summary>Gives what happens between fetching and dispatching a little more time, in which a slot can change hands.</summary>
    private sealed class SlowDispatch : ObservedKernel
    {
        internal bool Enabled { get; init; }

        protected internal override SyscallResult EpollWaitOnce(int epfd, EpollEventBuffer buffer, int maxEvents, int timeoutMilliseconds)
        {
            SyscallResult fetched = base.EpollWaitOnce(epfd, buffer, maxEvents, timeoutMilliseconds);
            if (Enabled)
            {
                Thread.SpinWait(1000);
            }

            return fetched;
        }
    }
}
