using ProxyTune.Decoding.Models;
using ProxyTune.Decoding.Sampling;
using ProxyTune.Decoding.Text;
using ProxyTune.Testing;

namespace ProxyTune.Decoding.Tests.Fusion;

/// <summary>Rows of the demo family's base and small models at each position of conversations that the base generates.</summary>
internal static class RealRows
{
    private const int Conversations = 16;
    private const int Length = 640;

    /// <summary>Two experts, qa and json, over one anti-expert.</summary>
    public static IEnumerable<RandomDeltaRows> Read()
    {
        (List<int>[] texts, List<float[]>[] ofBase) = WriteTexts();
        float[][][] qa = Follow("town-small-qa", texts), json = Follow("town-small-json", texts), small = Follow("town-small", texts);
        return Enumerable.Range(0, Conversations).SelectMany(c => Enumerable.Range(0, Length).Select(i =>
            new RandomDeltaRows(ofBase[c][i], (qa[c][i], small[c][i]), (json[c][i], small[c][i]))));
    }

    private static (List<int>[] Texts, List<float[]>[] Rows) WriteTexts()
    {
        string folder = Path.Combine(Repository.Models, "town-base");
        using OnnxLanguageModel model = OnnxLanguageModel.Load(folder, new());
        using Tokenizer tokenizer = Tokenizer.Load(folder);
        int[] opening = tokenizer.EncodeRendered("<|user|>\n");
        int width = model.Info.VocabularySize;
        float[] logits = new float[Conversations * width];
        Sequence[] sequences = [.. Enumerable.Range(0, Conversations).Select(_ => model.Start(Prompt.For(model, opening)))];
        List<int>[] texts = [.. sequences.Select(_ => opening.ToList())];
        List<float[]>[] rows = [.. sequences.Select(_ => new List<float[]>())];
        Segment[] batch = [.. sequences.Select(s => new Segment(s, ReadOnlyMemory<int>.Empty))];
        for (int position = 0; position < Length; position++)
        {
            model.Forward(batch, logits);
            for (int c = 0; c < Conversations; c++)
            {
                float[] row = logits[(c * width)..((c + 1) * width)];
                int token = Sampler.Next(row, [], new() { Seed = (ulong)c }, position);
                rows[c].Add(row);
                texts[c].Add(token);
                batch[c] = new(sequences[c], new[] { token });
            }
        }

        return (texts, rows);
    }

    private static float[][][] Follow(string name, List<int>[] texts)
    {
        using OnnxLanguageModel model = OnnxLanguageModel.Load(Path.Combine(Repository.Models, name), new());
        int width = model.Info.VocabularySize;
        float[] logits = new float[Length * width];
        return [.. texts.Select(text =>
        {
            using Sequence sequence = model.Start(Prompt.For(model, text.SkipLast(1).ToArray()));
            model.Forward([new(sequence, default, Length)], logits);
            return logits.Chunk(width).ToArray();
        })];
    }
}
