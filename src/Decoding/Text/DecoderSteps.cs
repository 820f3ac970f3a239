using System.Buffers;
using System.Globalization;
using System.Text;
using ProxyTune.Checkpoints.Formats;

namespace ProxyTune.Decoding.Text;

/// <summary>One decoder of a tokenizer.json. The joined output does not depend on how much of it a step gives early.</summary>
internal abstract class DecoderStep
{
    /// <summary>Whether <see cref="End"/> would give nothing.</summary>
    public virtual bool IsEmpty => true;

    /// <summary>The tokens that are certain after this one.</summary>
    public abstract IEnumerable<string> Push(string token);

    /// <summary>The tokens that are left.</summary>
    public virtual IEnumerable<string> End() => [];

    /// <summary>What <see cref="End"/> would give was sent, so it is certain now.</summary>
    public virtual IEnumerable<string> Commit() => [];

    public virtual void EndBytes()
    {
    }

    /// <summary>A copy with a state of its own.</summary>
    public virtual DecoderStep Copy() => (DecoderStep)MemberwiseClone();
}

/// <summary>A function of each token. On the whole text it is for functions that need no neighbours.</summary>
internal sealed class EachToken(Func<string, string> change) : DecoderStep
{
    public override IEnumerable<string> Push(string token) => [change(token)];

    public override DecoderStep Copy() => this;
}

/// <summary>No decoder: tokens are joined by blanks.</summary>
internal sealed class BlankBetween : DecoderStep
{
    private bool hasBegun;

    public override IEnumerable<string> Push(string token)
    {
        string text = hasBegun ? " " + token : token;
        hasBegun = true;
        return [text];
    }
}

/// <summary>One function of the first token, another of those after it: Metaspace and WordPiece.</summary>
internal sealed class FirstAndLater(Func<string, string> first, Func<string, string> later) : DecoderStep
{
    private bool hasBegun;

    public override IEnumerable<string> Push(string token)
    {
        string text = hasBegun ? later(token) : first(token);
        hasBegun = true;
        return [text];
    }
}

/// <summary>BPEDecoder: a suffix ends a word, so it is a blank, except in the last token.</summary>
internal sealed class WordEnds(string suffix) : DecoderStep
{
    private string? last;

    public override bool IsEmpty => last is null;

    public override IEnumerable<string> Push(string token)
    {
        string[] certain = last is null ? [] : [last.Replace(suffix, " ", StringComparison.Ordinal)];
        last = token;
        return certain;
    }

    public override IEnumerable<string> End() => last is null ? [] : [last.Replace(suffix, "", StringComparison.Ordinal)];
}

/// <summary>CTC: repeated tokens are one, and a token that becomes empty is none.</summary>
internal sealed class Collapse(Func<string, string> change) : DecoderStep
{
    private string? last;

    public override IEnumerable<string> Push(string token)
    {
        string text = token == last ? "" : change(token);
        last = token;
        return text.Length == 0 ? [] : [text];
    }
}

/// <summary>ByteLevel: the bytes of all tokens are one UTF-8 text, with U+FFFD as in <see cref="Encoding.UTF8"/>.</summary>
internal sealed class ByteLevelStep : DecoderStep
{
    // At most three bytes of an unfinished character.
    private byte[] pending = [];

    public override bool IsEmpty => pending.Length == 0;

    public override IEnumerable<string> Push(string token)
    {
        (string text, pending) = Utf8Text.Read([.. pending, .. ByteLevelAlphabet.Bytes(token)]);
        return text.Length == 0 ? [] : [text];
    }

    public override IEnumerable<string> End() => IsEmpty ? [] : [Rune.ReplacementChar.ToString()];

    public override void EndBytes() => pending = [];
}

/// <summary>A token such as &lt;0xE4&gt;.</summary>
internal static class ByteToken
{
    public static byte? Value(string token) =>
        token.Length == 6 && token.StartsWith("<0x", StringComparison.Ordinal) && token[5] == '>'
        && byte.TryParse(token.AsSpan(3, 2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out byte value)
            ? value
            : null;
}

/// <summary>
/// ByteFallback as a stream. Characters that were sent stay if a later byte of their run is wrong. If one is, each byte that was not sent is
/// U+FFFD, and so is each that follows in the run.
/// </summary>
internal sealed class ByteFallbackStep : DecoderStep
{
    // Of bytes that nothing sends, such as those of a real U+FFFD, only so many can still become invalid.
    private const int MostPending = 64;

    private byte[] pending = [];
    private bool isBroken;

    public override bool IsEmpty => pending.Length == 0;

    public override IEnumerable<string> Push(string token)
    {
        if (ByteToken.Value(token) is not { } value)
        {
            string[] text = [.. End(), token];
            EndBytes();
            return text;
        }

        if (isBroken)
        {
            return [Rune.ReplacementChar.ToString()];
        }

        pending = [.. pending, value];
        (int valid, OperationStatus status) = Valid();
        isBroken = status == OperationStatus.InvalidData;
        if (!isBroken && (valid < pending.Length || pending.Length <= MostPending))
        {
            return [];
        }

        string[] certain = [.. End()];
        pending = [];
        return certain;
    }

    public override IEnumerable<string> End() => Valid().Length == pending.Length
        ? [Encoding.UTF8.GetString(pending)]
        : Enumerable.Repeat(Rune.ReplacementChar.ToString(), pending.Length);

    public override IEnumerable<string> Commit()
    {
        if (Valid().Length < pending.Length)
        {
            return [];
        }

        string[] text = [.. End()];
        pending = [];
        return text;
    }

    public override void EndBytes() => (pending, isBroken) = ([], false);

    private (int Length, OperationStatus Status) Valid()
    {
        int at = 0;
        while (at < pending.Length)
        {
            OperationStatus status = Rune.DecodeFromUtf8(pending.AsSpan(at), out _, out int length);
            if (status != OperationStatus.Done)
            {
                return (at, status);
            }

            at += length;
        }

        return (at, OperationStatus.Done);
    }
}

/// <summary>ByteFallback of all tokens: a run of bytes is text, or if it is not valid UTF-8, one U+FFFD for each byte.</summary>
internal sealed class WholeRuns : DecoderStep
{
    private static readonly UTF8Encoding Strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    private List<byte> run = [];

    public override bool IsEmpty => run.Count == 0;

    public override IEnumerable<string> Push(string token)
    {
        if (ByteToken.Value(token) is { } value)
        {
            run.Add(value);
            return [];
        }

        string[] text = [.. End(), token];
        run.Clear();
        return text;
    }

    public override IEnumerable<string> End()
    {
        try
        {
            return run.Count == 0 ? [] : [Strict.GetString([.. run])];
        }
        catch (DecoderFallbackException)
        {
            return Enumerable.Repeat(Rune.ReplacementChar.ToString(), run.Count);
        }
    }

    public override DecoderStep Copy() => new WholeRuns { run = [.. run] };
}

/// <summary>Strip of the whole text.</summary>
internal sealed class StripText(Rune blank, int start, int stop) : DecoderStep
{
    private readonly string blank = blank.ToString();
    private int toStrip = start;
    private int held;

    // Blanks at the end are left out, if the end is here.
    public override IEnumerable<string> Push(string token)
    {
        for (; toStrip > 0 && token.StartsWith(blank, StringComparison.Ordinal); toStrip--)
        {
            token = token[blank.Length..];
        }

        if (token.Length == 0)
        {
            return [];
        }

        toStrip = 0;
        string text = string.Concat(Enumerable.Repeat(blank, held)) + token;
        for (held = 0; held < stop && text.EndsWith(blank, StringComparison.Ordinal); held++)
        {
            text = text[..^blank.Length];
        }

        return text.Length == 0 ? [] : [text];
    }
}

/// <summary>Replace in the whole text. What may be the beginning of the pattern is held.</summary>
internal sealed class ReplaceText(string pattern, string content) : DecoderStep
{
    private string held = "";

    public override bool IsEmpty => held.Length == 0;

    public override IEnumerable<string> Push(string token)
    {
        StringBuilder text = new();
        string rest = held + token;
        for (int at = rest.IndexOf(pattern, StringComparison.Ordinal); at >= 0; at = rest.IndexOf(pattern, StringComparison.Ordinal))
        {
            text.Append(rest, 0, at).Append(content);
            rest = rest[(at + pattern.Length)..];
        }

        int open = Math.Min(pattern.Length - 1, rest.Length);
        while (open > 0 && !rest.EndsWith(pattern[..open], StringComparison.Ordinal))
        {
            open--;
        }

        held = rest[^open..];
        text.Append(rest, 0, rest.Length - open);
        return text.Length == 0 ? [] : [text.ToString()];
    }

    public override IEnumerable<string> End() => [held];
}

/// <summary>A step that can read the whole text only at its end. No published tokenizer is known to need it; its cost grows with the text.</summary>
internal sealed class WholeText(DecoderStep step) : DecoderStep
{
    private readonly DecoderStep fresh = step.Copy();
    private string text = "";

    public override bool IsEmpty => text.Length == 0;

    public override IEnumerable<string> Push(string token)
    {
        text += token;
        return [];
    }

    public override IEnumerable<string> End()
    {
        DecoderStep step = fresh.Copy();
        return [.. step.Push(text), .. step.End()];
    }
}
