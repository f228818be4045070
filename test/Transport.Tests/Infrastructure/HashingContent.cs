using System.Security.Cryptography;

namespace KestrelNetpoll.Transport.Tests.Infrastructure;

/// <summary>Pseudo-random bytes by the block, with the hash of what has been made so far. Never holds more than a block.</summary>
internal sealed class HashingContent(int seed) : IDisposable
{
    private readonly Random _random = new(seed);
    private readonly IncrementalHash _hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);

    internal void Fill(Span<byte> block)
    {
        _random.NextBytes(block);
        _hash.AppendData(block);
    }

    internal string Hash() => Convert.ToHexStringLower(_hash.GetHashAndReset());

    public void Dispose() => _hash.Dispose();
}
