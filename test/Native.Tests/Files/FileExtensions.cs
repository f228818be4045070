namespace KestrelNetpoll.Native.Tests.Files;

/// <summary>What many of these tests do with a file.</summary>
internal static class FileExtensions
{
    /// <summary>Reads until the end of the file.</summary>
    internal static async Task<byte[]> ReadToEndAsync(this NetpollFile file, int bufferSize = 16 * 1024)
    {
        MemoryStream all = new();
        byte[] buffer = new byte[bufferSize];
        int read;
        while ((read = await file.ReadAsync(buffer)) != 0)
        {
            all.Write(buffer, 0, read);
        }

        return all.ToArray();
    }

    /// <summary>Reads exactly so many bytes.</summary>
    internal static async Task<byte[]> ReadExactlyAsync(this NetpollFile file, int count)
    {
        byte[] buffer = new byte[count];
        int done = 0;
        while (done < count)
        {
            int read = await file.ReadAsync(buffer.AsMemory(done));
            Assert.NotEqual(0, read);
            done += read;
        }

        return buffer;
    }

    /// <summary>Reads once and returns what came.</summary>
    internal static async Task<byte[]> ReadSomeAsync(this NetpollFile file, int atMost = 1024)
    {
        byte[] buffer = new byte[atMost];
        return buffer[..await file.ReadAsync(buffer)];
    }

    /// <summary>For arrays too long to be compared element by element, or to be printed.</summary>
    internal static void AssertSame(byte[] expected, byte[] actual)
    {
        Assert.Equal(expected.Length, actual.Length);
        int different = expected.AsSpan().CommonPrefixLength(actual);
        Assert.True(different == expected.Length, $"The bytes differ from position {different} on.");
    }

    /// <summary>Bytes in which every position looks different from its neighbours, also pages away.</summary>
    internal static byte[] Pattern(int length, int seed = 1)
    {
        byte[] bytes = new byte[length];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }
}
