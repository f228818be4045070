using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Options;

namespace KestrelNetpoll.Transport.Hosting;

/// <summary>
/// Refuses values out of range in the sections of single endpoints when the host starts, and not only when the endpoint is bound. What the
/// transport's own options have wrong already is said once.
/// </summary>
internal sealed class EndpointSectionsValidator(IConfiguration? configuration = null) : IValidateOptions<NetpollTransportOptions>
{
    public ValidateOptionsResult Validate(string? name, NetpollTransportOptions options)
    {
        List<string> shared = NetpollTransportOptionsValidator.FindMistakes(options);
        string[] failures =
        [
            .. from section in new EndpointSections(configuration).ApplyTo(options)
               from mistake in NetpollTransportOptionsValidator.FindMistakes(section.Options).Except(shared)
               select $"'{section.Path}': {mistake}",
        ];
        return failures.Length == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(failures);
    }
}
