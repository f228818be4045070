using KestrelNetpoll.Transport.Pipes;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using KestrelNetpoll.Transport.Writing;

namespace KestrelNetpoll.Transport.Tests.Writing;

/// <summary>The chain of blocks against a plain queue of bytes, for long random sequences of operations.</summary>
[OneMode]
public sealed class SendBufferTests
{
    [Fact]
    public void Behaves_like_a_queue_and_returns_every_block()
    {
        for (int seed = 0; seed < 200; seed++)
        {
            Run(seed, operations: 300);
        }
    }

    private static void Run(int seed, int operations)
    {
        var random = new Random(seed);
        var pool = new DiagnosticMemoryPool(blockSize: 64);
        var buffer = new SendBuffer(pool);
        Queue<byte> queued = new();
        List<byte> uncommitted = [];
        Memory<byte>? leased = null;
        byte next = 0;
        for (int i = 0; i < operations; i++)
        {
            switch (random.Next(7))
            {
                case 0:
                    Memory<byte> memory = buffer.GetMemory(random.Next(3) == 0 ? 0 : random.Next(150));
                    Assert.False(memory.IsEmpty);
                    leased = memory;
                    break;
                case 1 when leased is { } free:
                    int length = random.Next(free.Length + 1);
                    for (int j = 0; j < length; j++)
                    {
                        free.Span[j] = next;
                        uncommitted.Add(next++);
                    }

                    buffer.Advance(length);
                    leased = free[length..];
                    break;
                case 2:
                    byte[] bytes = new byte[random.Next(200)];
                    for (int j = 0; j < bytes.Length; j++)
                    {
                        bytes[j] = next;
                        uncommitted.Add(next++);
                    }

                    buffer.Write(bytes);
                    leased = null;
                    break;
                case 3:
                    buffer.Commit();
                    uncommitted.ForEach(queued.Enqueue);
                    uncommitted.Clear();
                    leased = null;
                    break;
                case 4 or 5 when queued.Count > 0:
                    byte[] sent = Copy(buffer.GetBatch());
                    Assert.Equal(queued.ToArray(), sent);
                    int taken = random.Next(2) == 0 ? sent.Length : random.Next(sent.Length + 1);
                    buffer.Consume(taken);
                    for (int j = 0; j < taken; j++)
                    {
                        queued.Dequeue();
                    }

                    break;
                case 6 when random.Next(20) == 0:
                    buffer.Clear();
                    queued.Clear();
                    uncommitted.Clear();
                    break;
            }

            Assert.True(queued.Count == buffer.QueuedBytes && uncommitted.Count == buffer.UncommittedBytes, $"seed {seed}, operation {i}");

            // The application may come back to its memory at any time: this throws if the block was given back.
            _ = leased?.Span.Length;
            if (queued.Count == 0 && uncommitted.Count == 0 && leased is null)
            {
                Assert.True(pool.RentedBlocks <= 1, $"seed {seed}, operation {i}: {pool.RentedBlocks} blocks without a byte");
            }
        }

        buffer.Commit();
        buffer.Clear();
        Assert.Equal(0, pool.RentedBlocks);
    }

    private static byte[] Copy(SendBatch batch)
    {
        List<byte> bytes = [];
        for (BufferSegment segment = batch.First; ; segment = segment.NextSegment!)
        {
            int start = segment == batch.First ? batch.FirstIndex : 0;
            int end = segment == batch.Last ? batch.LastIndex : segment.End;
            bytes.AddRange(segment.Block.Span[start..end]);
            if (segment == batch.Last)
            {
                return [.. bytes];
            }
        }
    }
}
