using System.Globalization;
using ProxyTune.Decoding.Models;
using ProxyTune.Testing;

namespace ProxyTune.Decoding.Tests.Models;

/// <summary>Measures this process, so no other test runs beside it.</summary>
[Collection(Alone.Name)]
public sealed class PhysicalMemoryTests
{
    [SkippableFact]
    public void Forward_SequencesOfVeryDifferentLengths_TakePhysicalMemoryForTheirOwn()
    {
        Skip.IfNot(OperatingSystem.IsLinux(), "Only Linux tells and takes back single pages.");
        const int Context = 4096, Long = 3000, Short = 100, ShortOnes = 15;
        using KeyValueMemory memory = new(null);
        using TinyModel folder = TinyModel.Create(new() { Heads = 8, KeyValueHeads = 8, HeadSize = 64, Context = Context });
        using OnnxLanguageModel model = OnnxLanguageModel.Load(folder.Folder, new(), memory: memory);
        long tokenBytes = model.Info.KeyValues!.TokenBytes;
        using (Sequence first = model.Start(Prompt.For(model, new int[Long]) with { MaxAppended = 1 }))
        {
            // The kernels' own memory stays.
            Rows.Forward(model, new Segment(first, default));
        }

        long before = Resident();
        Sequence[] all = [.. Enumerable.Range(0, ShortOnes + 1).Select(i => model.Start(Prompt.For(model, new int[i == 3 ? Long : Short]) with { MaxAppended = 20 }))];
        Rows.Forward(model, [.. all.Select(sequence => new Segment(sequence, default))]);
        long ofLong = Long * tokenBytes, ofShort = ShortOnes * 128 * tokenBytes, slack = ofLong / 3;
        Assert.InRange(Resident() - before, ofLong, ofLong + ofShort + slack);

        // The rows of this batch are not neighbours, so rows change places.
        Rows.Forward(model, [new Segment(all[0], new[] { 1 }), new Segment(all[3], new[] { 1 })]);
        Assert.InRange(Resident() - before, ofLong, ofLong + ofShort + slack);
        all[3].Dispose();
        Assert.InRange(Resident() - before, 0, ofShort + slack);
        Array.ForEach(all, sequence => sequence.Dispose());

        static long Resident()
        {
            // Only an aggressive collection returns the pages of earlier tests before they are counted.
            GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
            string line = File.ReadLines("/proc/self/status").First(line => line.StartsWith("RssAnon", StringComparison.Ordinal));
            return long.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture) * 1024;
        }
    }

    [CollectionDefinition(Name, DisableParallelization = true)]
    public sealed class Alone
    {
        public const string Name = "physical memory";
    }
}
