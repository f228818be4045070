using KestrelNetpoll.Native.Tests.Interop;

namespace KestrelNetpoll.Native.Tests.Files;

/// <summary>Wrong arguments, missing files, missing rights: the exception that a .NET programmer expects, with the path in it.</summary>
public sealed class OptionsAndErrorsTests : IDisposable
{
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    private readonly TemporaryDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    [Fact]
    public void A_missing_file_is_named()
    {
        string path = _directory.PathOf("missing");
        FileNotFoundException exception = Assert.Throws<FileNotFoundException>(() => NetpollFile.Open(path, FileAccess.Read));
        Assert.Equal(path, exception.FileName);
        Assert.Contains(path, exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_fifo_without_reader_says_what_it_needs()
    {
        string path = _directory.PathOf("fifo");
        NetpollFile.CreateFifo(path, OwnerOnly);
        IOException exception = Assert.Throws<IOException>(() => NetpollFile.Open(path, FileAccess.Write));
        Assert.Contains(path, exception.Message, StringComparison.Ordinal);
        Assert.Contains("reading end", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_read_only_attribute_is_no_permission_even_for_root()
    {
        const string Attribute = "/sys/kernel/uevent_seqnum";
        Assert.SkipUnless(File.Exists(Attribute), "There is no sysfs here.");
        UnauthorizedAccessException exception =
            Assert.Throws<UnauthorizedAccessException>(() => NetpollFile.Open(Attribute, FileAccess.Write));
        Assert.Contains(Attribute, exception.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData((FileAccess)0)]
    [InlineData((FileAccess)4)]
    [InlineData((FileAccess)(-1))]
    public void An_access_that_does_not_exist_is_out_of_range(FileAccess access)
    {
        ArgumentOutOfRangeException exception =
            Assert.Throws<ArgumentOutOfRangeException>(() => NetpollFile.Open(_directory.PathOf("any"), access));
        Assert.Equal("access", exception.ParamName);
    }

    [Fact]
    public void A_path_must_be_one()
    {
        Assert.Throws<ArgumentNullException>(() => NetpollFile.Open(null!, FileAccess.Read));
        Assert.Throws<ArgumentException>(() => NetpollFile.Open("", FileAccess.Read));
        Assert.Throws<ArgumentException>(() => NetpollFile.Open("/dev/null\0", FileAccess.Read));
        Assert.Throws<ArgumentException>(() => NetpollFile.CreateFifo("/dev/null\0", OwnerOnly));
        Assert.ThrowsAny<IOException>(() => NetpollFile.Open("/dev/null/below", FileAccess.Read));
        Assert.Throws<PathTooLongException>(() => NetpollFile.Open(_directory.PathOf(new string('x', 300)), FileAccess.Read));
        Assert.Throws<ArgumentNullException>(() => NetpollFile.CreateFifo(null!, OwnerOnly));
        Assert.Throws<ArgumentException>(() => NetpollFile.CreateFifo("", OwnerOnly));
    }

    [Fact]
    public void A_fifo_does_not_replace_a_file()
    {
        string path = _directory.PathOf("there");
        File.WriteAllText(path, "precious");
        IOException exception = Assert.Throws<IOException>(() => NetpollFile.CreateFifo(path, OwnerOnly));
        Assert.Contains(path, exception.Message, StringComparison.Ordinal);
        Assert.Contains("EEXIST", exception.Message, StringComparison.Ordinal);
        Assert.Equal("precious", File.ReadAllText(path));
        Assert.ThrowsAny<IOException>(() => NetpollFile.CreateFifo(_directory.PathOf("no/such/place"), OwnerOnly));
    }

    [Fact]
    public async Task The_wrong_direction_is_not_supported()
    {
        await using PipePair pipe = new();
        NotSupportedException exception =
            await Assert.ThrowsAsync<NotSupportedException>(async () => await pipe.Write.ReadAsync(new byte[1]));
        Assert.Contains("reading", exception.Message, StringComparison.Ordinal);
        await Assert.ThrowsAsync<NotSupportedException>(async () => await pipe.Write.ReadAsync([new byte[1].AsMemory()]));

        exception = await Assert.ThrowsAsync<NotSupportedException>(async () => await pipe.Read.WriteAsync(new byte[1]));
        Assert.Contains("writing", exception.Message, StringComparison.Ordinal);
        await Assert.ThrowsAsync<NotSupportedException>(async () => await pipe.Read.WriteAsync([new byte[1]]));
    }

    [Fact]
    public void Exceptions_can_be_made_by_anybody()
    {
        Exception cause = new InvalidOperationException();
        Assert.Equal(0, new DeadlineExceededException().BytesWritten);
        Assert.Equal(7, new DeadlineExceededException(7).BytesWritten);
        Assert.Contains("7", new DeadlineExceededException(7).Message, StringComparison.Ordinal);
        Assert.Equal(("text", cause), (new DeadlineExceededException("text", cause).Message, new DeadlineExceededException("", cause).InnerException));
        Assert.NotEmpty(new NotPollableException().Message);
        Assert.Equal(("text", cause), (new NotPollableException("text", cause).Message, new NotPollableException("", cause).InnerException));
    }
}
