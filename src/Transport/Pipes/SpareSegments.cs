namespace KestrelNetpoll.Transport.Pipes;

/// <summary>
/// Segment objects without memory, kept for the next block so that a warm connection allocates none. Bounded: what a burst needed
/// beyond that is left to the collector. Guarded by the lock of the buffer it belongs to. Mutable struct: a field, never copied.
/// </summary>
internal struct SpareSegments
{
    // As many as one receive of the largest size takes.
    private const int Limit = 16;

    private BufferSegment? _top;
    private int _count;

    internal BufferSegment Take()
    {
        if (_top is not { } segment)
        {
            return new BufferSegment();
        }

        _top = segment.NextSegment;
        segment.NextSegment = null;
        _count--;
        return segment;
    }

    /// <summary>Gives the segment's memory back and keeps the object.</summary>
    internal void Return(BufferSegment segment)
    {
        segment.Return();
        if (_count < Limit)
        {
            segment.NextSegment = _top;
            _top = segment;
            _count++;
        }
    }
}
