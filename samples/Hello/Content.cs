using System.Buffers;
using System.Buffers.Binary;
using System.IO.Pipelines;
using System.Security.Cryptography;

namespace Hello;

/// <summary>
/// Bytes of any length that are the same every time and never repeat, so that a block that is lost, doubled or swapped
/// changes the hash: 64-bit word number i is the SplitMix64 hash of i.
/// </summary>
internal static class Content
{
    private const int BlockSize = 64 * 1024;

    internal static async Task WriteAsync(PipeWriter writer, long size, CancellationToken cancellationToken)
    {
        byte[] block = ArrayPool<byte>.Shared.Rent(BlockSize);
        try
        {
            for (long offset = 0; offset < size;)
            {
                int count = Fill(block.AsSpan(0, BlockSize), offset, size);
                FlushResult result = await writer.WriteAsync(block.AsMemory(0, count), cancellationToken);
                if (result.IsCompleted)
                {
                    return;
                }

                offset += count;
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(block);
        }
    }

    internal static string Hash(long size, CancellationToken cancellationToken)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        byte[] block = new byte[BlockSize];
        for (long offset = 0; offset < size;)
        {
            cancellationToken.ThrowIfCancellationRequested();
            int count = Fill(block, offset, size);
            hash.AppendData(block.AsSpan(0, count));
            offset += count;
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    internal static async Task<(long Length, string Sha256)> HashAsync(PipeReader reader, CancellationToken cancellationToken)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        long length = 0;
        while (true)
        {
            ReadResult result = await reader.ReadAsync(cancellationToken);
            foreach (ReadOnlyMemory<byte> segment in result.Buffer)
            {
                hash.AppendData(segment.Span);
                length += segment.Length;
            }

            reader.AdvanceTo(result.Buffer.End);
            if (result.IsCompleted)
            {
                return (length, Convert.ToHexStringLower(hash.GetHashAndReset()));
            }
        }
    }

    /// <summary>Blocks start at multiples of eight: only the last one may end within a word.</summary>
    private static int Fill(Span<byte> block, long offset, long size)
    {
        for (int i = 0; i < block.Length; i += sizeof(ulong))
        {
            BinaryPrimitives.WriteUInt64LittleEndian(block[i..], SplitMix64((ulong)(offset + i) / sizeof(ulong)));
        }

        return (int)Math.Min(block.Length, size - offset);
    }

    private static ulong SplitMix64(ulong value)
    {
        value = (value + 1) * 0x9E3779B97F4A7C15;
        value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9;
        value = (value ^ (value >> 27)) * 0x94D049BB133111EB;
        return value ^ (value >> 31);
    }
}
